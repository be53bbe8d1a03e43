/** @file Names of files that are called after data, such as images and labels. */

/** Names of devices on Windows, also with an ending. */
const devices = /^(?:con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³])(?:\.|$)/i;

/** Returns a name as a file or folder of every system can have it: Windows refuses some characters, ends and devices. */
export function portableName(name: string): string {
  const written = name
    .replace(/[<>:"|?*\\/\p{Cc}]/gu, "_")
    .replace(/[. ]+$/, (end) => "_".repeat(end.length));
  return devices.test(written) ? `_${written}` : written;
}

/**
 * Returns a path with a number where another has it: `photo`, `photo-2`. Paths that differ in case or in the way that Unicode writes
 * an accent count as one, as on Windows and macOS. The path becomes one of `taken`.
 */
export function freeName(path: string, taken: Set<string>): string {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? path : `${path}-${number}`;
    const key = candidate.normalize("NFC").toLowerCase();
    if (taken.has(key)) continue;
    taken.add(key);
    return candidate;
  }
}
