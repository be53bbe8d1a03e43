/** @file Systems that the native engine is built on, or brought to. */

/** A system whose TensorFlow comes from a wheel, against which tfjs-node is compiled. */
export interface WheelPlatform {
  readonly from: "wheel";
  /** The name of the package that has no GPU part. */
  readonly wheel: string;
  /** pip's tags of the wheels that run here, the preferred one first. */
  readonly tags: readonly string[];
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

function linux(machine: string): WheelPlatform {
  return {
    from: "wheel",
    wheel: "tensorflow-cpu",
    tags: [`manylinux_2_27_${machine}`, `manylinux2014_${machine}`],
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
    tags: ["macosx_12_0_arm64"],
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
