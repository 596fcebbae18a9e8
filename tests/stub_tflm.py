"""A library with TensorFlow Lite Micro's interface and nothing behind it, written into a folder: what mcuml makes around the real
one (PlatformIO's build, the arena's size, layers, errors) is tried with it wherever there is a C++ compiler."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

OPERATORS = {"CONV_2D": "AddConv2D", "FULLY_CONNECTED": "AddFullyConnected", "MAX_POOL_2D": "AddMaxPool2D",
             "SOFTMAX": "AddSoftmax", "RESHAPE": "AddReshape", "QUANTIZE": "AddQuantize", "DEQUANTIZE": "AddDequantize",
             "CUSTOM:MyOp": "AddMyOp"}  # fmt: skip
MICRO = "tensorflow/lite/micro/"

INTERPRETER = """
#pragma once
#if !defined(CMSIS_NN) || !defined(ARDUINO) || !defined(TF_LITE_STATIC_MEMORY)
#error "the real one's kernels and headers would not go together"
#endif
#include <cstddef>
#include <cstdint>
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"
struct TfLiteTensor {{ union {{ void *raw; }} data; }};
extern "C" void DebugLog(const char *text);
extern int constructed;
namespace tflite {{
struct MicroResourceVariables;
/* Takes {arena} bytes of its arena, and {more} more while it lays them out; makes the output's bytes of the input's. */
class MicroInterpreter {{
public:
    MicroInterpreter(const Model *, const MicroOpResolver &resolver, uint8_t *arena, size_t size,
                     MicroResourceVariables * = nullptr, MicroProfilerInterface *profiler = nullptr)
        : operators_(resolver.count), arena_(arena), size_(size), profiler_(profiler) {{}}
    TfLiteStatus AllocateTensors()
    {{
        if (size_ < {arena} + {more}) {{
            if ({faults}) {{
                *reinterpret_cast<volatile int *>(0) = 1; /* as the real one where a tensor's record finds no room */
            }}
            DebugLog("Failed to resize buffer. [Requested: {arena}]\\n");
            return kTfLiteError;
        }}
        io_[0].data.raw = arena_;
        io_[1].data.raw = arena_ + {input};
        return operators_ && constructed == 42 ? kTfLiteOk : kTfLiteError;
    }}
    size_t arena_used_bytes() const {{ return {arena}; }}
    TfLiteTensor *input(size_t) {{ return &io_[0]; }}
    TfLiteTensor *output(size_t) {{ return &io_[1]; }}
    TfLiteStatus Invoke()
    {{
        if ({refuses}) {{
            DebugLog("Hybrid models are not supported\\n");
            return kTfLiteError;
        }}
        for (int n = 0; n < {layers}; n++) {{
            uint32_t event = profiler_ ? profiler_->BeginEvent("layer") : 0;
            for (int i = 0; i < {output}; i++) {{
                arena_[{input} + i] = static_cast<uint8_t>(arena_[i] + n);
            }}
            if (profiler_) {{
                profiler_->EndEvent(event);
            }}
        }}
        return kTfLiteOk;
    }}
private:
    int operators_;
    uint8_t *arena_;
    size_t size_;
    MicroProfilerInterface *profiler_;
    TfLiteTensor io_[2];
}};
}}
"""
RESOLVER = """
#pragma once
#include <cstdint>
enum TfLiteStatus {{ kTfLiteOk = 0, kTfLiteError = 1 }};
namespace tflite {{
struct MicroOpResolver {{ int count = 0; }};
enum BuiltinOperator {{ {names} }};
template <unsigned int tOpCount> class MicroMutableOpResolver : public MicroOpResolver {{
 public:
  TfLiteStatus AddCustom(const char *name, int) {{
    return Registered(*name);
  }}

{members}
  TfLiteStatus Registered(int) {{
    return count++ < static_cast<int>(tOpCount) ? kTfLiteOk : kTfLiteError;
  }}
  TfLiteStatus AddBuiltin(BuiltinOperator op, int) {{
    return Registered(op);
  }}
}};
}}
"""
MEMBER = """  TfLiteStatus {name}(
      int registration = 0) {{
    return {call}, registration);
  }}

"""
PROFILER = """
#pragma once
#include <cstdint>
namespace tflite {
class MicroProfilerInterface {
public:
    virtual uint32_t BeginEvent(const char *tag) = 0;
    virtual void EndEvent(uint32_t handle) = 0;
};
}
"""
SCHEMA = """
#pragma once
namespace tflite {
struct Model;
inline const Model *GetModel(const void *bytes)
{
    (void)*static_cast<const volatile unsigned char *>(bytes); /* as the real one does: bytes that nobody reads are not linked */
    return static_cast<const Model *>(bytes);
}
}
"""
# In the library but never called: nothing of it may be linked, nor its constructor run.
STRANGER = """
extern void arduino_only();
struct Stranger { Stranger() { arduino_only(); } };
static Stranger stranger;
"""
SOURCE = """
#include "tensorflow/lite/micro/micro_interpreter.h"
#ifdef MODEL_PROFILE
#error "a build that counts layers compiles the library a second time"
#endif
static int answer() { return 42; }
int constructed = answer(); /* by a constructor that the startup code must call */
"""


def write(
    folder: Path, *, operators: Mapping[str, str] = OPERATORS, arena: int = 1000, more: int = 0,
    input_bytes: int = 64, output_bytes: int = 10, layers: int = 1,
    refuses: bool = False, faults: bool = False,
) -> Path:  # fmt: skip
    """Write the library to `folder`: it knows `operators`, takes `arena` bytes (and `more` while it begins), and reads and writes
    tensors of these sizes; its profiler sees `layers` layers. refuses: it lays a model out and then does not run it;
    faults: it does so where the arena is too small."""
    calls = {name: f'AddCustom("{key[7:]}"' if key.startswith("CUSTOM:") else f"AddBuiltin(BuiltinOperator_{key}"
             for key, name in operators.items()}  # fmt: skip
    names = ", ".join(f"BuiltinOperator_{key}" for key in operators if not key.startswith("CUSTOM:"))
    sizes = {
        "arena": arena, "more": more, "input": -(-input_bytes // 16) * 16, "output": output_bytes, "layers": layers,
        "refuses": int(refuses), "faults": int(faults),
    }  # fmt: skip
    texts = {
        MICRO + "micro_interpreter.h": INTERPRETER.format(**sizes),
        MICRO + "micro_mutable_op_resolver.h": RESOLVER.format(
            names=names, members="".join(MEMBER.format(name=name, call=call) for name, call in calls.items())
        ),
        MICRO + "micro_profiler_interface.h": PROFILER,
        "tensorflow/lite/schema/schema_generated.h": SCHEMA,
        MICRO + "answer.cpp": SOURCE,
        MICRO + "stranger.cpp": STRANGER,
        MICRO + "serial.cpp": '#include "peripherals/led.h"\nvoid blink() { light(); }\n',
        "peripherals/led.h": "#include <Arduino.h>\nvoid light();\n",
    }
    for name, text in texts.items():
        path = folder / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "library.properties").write_text("name=Stub_TensorFlowLite\nversion=1.2.3\nprecompiled=full\n", encoding="utf-8")
    return folder
