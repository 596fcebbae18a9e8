"""How PlatformIO builds a bare-metal mcuml project: every fact comes from options of the environment in platformio.ini.

custom_compiler  the C compiler, one argument a line (`zig` and `cc`, or arm-none-eabi-gcc)
custom_cxx       the C++ compiler, in the same way, for projects with C++ in them
custom_ar        the archiver, in the same way, for projects with libraries that are linked by need
custom_machine   flags that choose the core, for compiling and for linking
custom_compile   further flags for compiling
custom_link      further flags for linking
custom_libs      libraries to link with, after all else
custom_ldscript  the linker script
custom_arch      which startup code: a file startup/<arch>.c beside this folder
custom_sources   further folders of C files that belong to the platform, one a line
"""

from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()


def lines(option):
    """The option's value, one item a line."""
    return [line.strip() for line in env.GetProjectOption(option, "").splitlines() if line.strip()]


compiler, machine, link = lines("custom_compiler"), lines("custom_machine"), lines("custom_link")
cxx = lines("custom_cxx")
script = str(Path(env.subst("$PROJECT_DIR")) / env.GetProjectOption("custom_ldscript"))

env.Replace(
    CC=compiler,
    CXX=cxx or compiler,
    AS=compiler,
    LINK=cxx or compiler,
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    CCFLAGS=[*machine, *lines("custom_compile")],
    ASFLAGS=machine,
    LINKFLAGS=[*machine, *link, "-Wl,--gc-sections", "-T", script],
    LIBS=lines("custom_libs"),
    SIZETOOL=None,
)

if lines("custom_ar"):
    env.Replace(AR=lines("custom_ar"), ARFLAGS=["rcs"], RANLIBCOM="")

platform_folder = Path(env.PioPlatform().get_dir())
env.BuildSources("$BUILD_DIR/startup", str(platform_folder / "startup"), f"+<{env.GetProjectOption('custom_arch')}.c>")
for number, folder in enumerate(lines("custom_sources")):
    env.BuildSources(f"$BUILD_DIR/platform{number}", folder, "+<*.c>")

program = env.BuildProgram()
env.Depends(program, script)
AlwaysBuild(env.Alias("upload", program, lambda **_: print("Nothing to upload to: this is a simulated board.")))
Default(program)
