/** Joins names, four at most: `a, b, c and 4 more`. */
export function shortList(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
}

/** Formats a count with three or four significant digits: `9.7k`, `25.6M`. */
export function formatCount(count: number): string {
  if (count < 1000) return String(count);
  if (count < 999_950) return `${(count / 1000).toFixed(count < 99_950 ? 1 : 0)}k`;
  return count < 999_950_000 ? `${(count / 1e6).toFixed(1)}M` : `${(count / 1e9).toFixed(1)}B`;
}

/** Formats a size in decimal units: `8.2 kB`, `0.8 MB`, `2.9 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  if (bytes < 100_000) return `${(bytes / 1000).toFixed(1)} kB`;
  if (bytes < 99_500_000) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes < 999_500_000 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Formats a duration as `formatSeconds` does, a moment in milliseconds: `20ms`. */
export function formatDuration(seconds: number): string {
  return seconds > 0.0005 && seconds < 0.0995 ? `${Math.round(1000 * seconds)}ms` : formatSeconds(seconds);
}

/** Formats a duration: `4m10s`, `1h05m`, `12s`, `0.4s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}

/** Formats a share as whole percents, a small one with more digits. */
export function percent(ratio: number): string {
  if (ratio < 0.001) return "under 0.1%";
  return ratio < 0.0095 ? `${(100 * ratio).toFixed(1)}%` : `${Math.round(100 * ratio)}%`;
}

/**
 * Formats a speedup. Above a thousand the prediction means little, because it counts the arithmetic of a step and the
 * rest of the time is overhead.
 */
export function factor(speedUp: number): string {
  if (speedUp > 1000) return "over 1,000x";
  return `${speedUp >= 10 ? Math.round(speedUp).toLocaleString("en-US") : speedUp.toFixed(1)}x`;
}
