/**
 * @file The numbers of the zip format that the reader and the writer share. See PKWARE's APPNOTE.TXT, sections 4.3 to 4.6.
 */

/** The first four bytes of each record, as a little-endian number. */
export const signatures = {
  local: 0x04034b50,
  directory: 0x02014b50,
  end: 0x06054b50,
  wideEnd: 0x06064b50,
  wideLocator: 0x07064b50,
} as const;

/** Stands in a 32-bit field for a value that a zip64 field holds. */
export const wideValue = 0xffffffff;
/** Stands in a 16-bit count for one that the zip64 end record holds. */
export const wideCount = 0xffff;

const wideFieldId = 0x0001;
/** Microsoft's growth hint: room in a header for a zip64 field that turned out not to be needed. */
const growthHintId = 0xa220;
const growthHintSignature = 0xa028;

/** Returns the extra field that holds 64-bit values for those of the header that are {@link wideValue}, in its order. */
export function wideField(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(wideFieldId, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, index) => void field.writeBigUInt64LE(BigInt(value), 4 + 8 * index));
  return field;
}

/** Returns an extra field of `bytes` bytes, 8 or more, that readers skip. */
export function reservedField(bytes: number): Buffer {
  const field = Buffer.alloc(bytes);
  field.writeUInt16LE(growthHintId, 0);
  field.writeUInt16LE(bytes - 4, 2);
  field.writeUInt16LE(growthHintSignature, 4);
  return field;
}

/**
 * Returns `narrow`, the 32-bit values of a directory record in the order of the format, with each {@link wideValue} replaced by
 * the next value of the zip64 field in `extra`.
 */
export function widened<Values extends readonly number[]>(extra: Buffer, narrow: Values): Values {
  let wide: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === wideFieldId) {
      wide = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
    }
  }
  let used = 0;
  const values = narrow.map((value) => {
    if (value !== wideValue || used + 8 > wide.length) return value;
    used += 8;
    return Number(wide.readBigUInt64LE(used - 8));
  });
  return values as unknown as Values;
}
