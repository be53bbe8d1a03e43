/** @file Systems that the native engine is built on, or brought to. */

/** The version of TensorFlow that is downloaded if none is installed. */
export const tensorflowRelease = "2.21.0";

/** A system whose TensorFlow comes from a wheel, against which tfjs-node is compiled. */
export interface WheelPlatform {
  readonly from: "wheel";
  /** The name of the package that has no GPU part, or none for this system. */
  readonly wheel: string;
  /** pip's tag of the wheel that runs here. */
  readonly tag: string;
  /** The sha256 of that wheel: pip refuses any other. */
  readonly sha256: string;
  /** The libraries that the binding is linked to, in the wheel's folder `tensorflow`. */
  readonly libraries: readonly [string, string];
  /** Parameters of the compiler that make an addon of Node, and let it find the libraries relative to itself. */
  readonly linking: readonly string[];
  /** True if TensorFlow can be loaded without its first message. */
  readonly loadsQuietly: boolean;
}

/** A system for which tfjs-node's own installer brings a compiled binding and an older TensorFlow. */
export interface PrebuiltPlatform {
  readonly from: "installer";
}

const linuxLibraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;

/** The wheels of TensorFlow {@link tensorflowRelease} on PyPI; for Linux on arm64 there is none without a GPU's part but this one. */
const linuxWheels = {
  x86_64: {
    wheel: "tensorflow-cpu",
    sha256: "dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb",
  },
  aarch64: {
    wheel: "tensorflow",
    sha256: "b07d15737406533898e36c7ef7944b1be18e9028dc521b9229952c537bbc5552",
  },
} as const;

function linux(machine: keyof typeof linuxWheels): WheelPlatform {
  return {
    from: "wheel",
    ...linuxWheels[machine],
    tag: `manylinux_2_27_${machine}`,
    libraries: linuxLibraries,
    linking: [
      ...["-shared", ...linuxLibraries.map((library) => `-l:${library}`)],
      "-Wl,-rpath,$ORIGIN/../../deps/lib",
    ],
    loadsQuietly: true,
  };
}

const platforms: Readonly<Record<string, WheelPlatform | PrebuiltPlatform>> = {
  "linux x64": linux("x86_64"),
  "linux arm64": linux("aarch64"),
  // The install names of both libraries are `@rpath/<name>`; what Node defines is found when the addon is loaded.
  "darwin arm64": {
    from: "wheel",
    wheel: "tensorflow",
    tag: "macosx_12_0_arm64",
    sha256: "56ecd7d47429acbe1df2694d50b75bf9fc3995ac92cb367cd9af6c4780ead712",
    libraries: ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"],
    linking: [
      ...["-bundle", "-undefined", "dynamic_lookup", "-ltensorflow_cc.2", "-ltensorflow_framework.2"],
      "-Wl,-rpath,@loader_path/../../deps/lib",
    ],
    loadsQuietly: false,
  },
  "win32 x64": { from: "installer" },
};

/** Returns how `setupEngine` brings the native engine to a system, undefined if it cannot. */
export function setupPlatform(
  system: string = process.platform,
  machine: string = process.arch,
): WheelPlatform | PrebuiltPlatform | undefined {
  return platforms[`${system} ${machine}`];
}

/** Returns the same for this system as far as its TensorFlow comes from a wheel; that of Linux on x64 for any other. */
export function wheelPlatform(): WheelPlatform {
  const own = setupPlatform();
  return own?.from === "wheel" ? own : linux("x86_64");
}
