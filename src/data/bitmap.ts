/** RGB pixels `[height, width, 3]` of a BMP file. */
export interface Bitmap {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: 3;
  readonly rotated: false;
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bitsPerPixel: number;
  /** Offset of the first row, in bytes. */
  readonly dataOffset: number;
  readonly palette: Uint8Array;
  readonly paletteStride: number;
  /** Bit masks of red, green and blue, for 16 and 32 bits per pixel. */
  readonly masks: readonly [number, number, number];
}

const maxPixels = 178_956_970;

/**
 * Decodes an uncompressed BMP: 1, 4 or 8 bits with a palette; 16, 24 or 32 bits with or without bit masks. Alpha is dropped. Keras
 * reads BMP, and the libvips that sharp ships does not.
 *
 * @throws {Error} in words that follow "BMP does not decode:".
 */
export function decodeBitmap(bytes: Buffer): Bitmap {
  const header = readHeader(bytes);
  const { width, height, bitsPerPixel, dataOffset } = header;
  const rowBytes = Math.ceil((width * bitsPerPixel) / 32) * 4;
  if (dataOffset + rowBytes * height > bytes.length) {
    throw new Error(`truncated: expected ${dataOffset + rowBytes * height} bytes, got ${bytes.length}`);
  }
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = dataOffset + rowBytes * (header.topDown ? y : height - 1 - y);
    const row = bytes.subarray(from, from + rowBytes);
    const target = pixels.subarray(y * width * 3, (y + 1) * width * 3);
    if (bitsPerPixel <= 8) indexedRow(row, target, header);
    else if (bitsPerPixel === 24) blueGreenRedRow(row, target);
    else maskedRow(row, target, header);
  }
  return { pixels, height, width, channels: 3, rotated: false };
}

function readHeader(bytes: Buffer): Header {
  if (bytes.length < 26)
    throw new Error(`truncated: expected a header of 26 bytes or more, got ${bytes.length}`);
  const headerSize = bytes.readUInt32LE(14);
  if (headerSize === 12) {
    const bitsPerPixel = bytes.readUInt16LE(24);
    return checked({
      width: bytes.readUInt16LE(18),
      height: bytes.readUInt16LE(20),
      topDown: false,
      bitsPerPixel,
      dataOffset: bytes.readUInt32LE(10),
      palette: bytes.subarray(26),
      paletteStride: 3,
      masks: defaultMasks(bitsPerPixel),
    });
  }
  if (headerSize < 40 || bytes.length < 14 + headerSize) {
    throw new Error(`expected an information header of 12, or 40 and more bytes, got ${headerSize}`);
  }
  const bitsPerPixel = bytes.readUInt16LE(28);
  const compression = bytes.readUInt32LE(30);
  const masked = compression === 3 || compression === 6;
  if (compression !== 0 && !masked) {
    throw new Error(`compression ${compression} is not supported. Save it as PNG`);
  }
  if (masked && bytes.length < 66)
    throw new Error(`truncated: expected color masks, got ${bytes.length} bytes`);
  const masksAfterHeader = masked && headerSize === 40 ? (compression === 6 ? 16 : 12) : 0;
  const height = bytes.readInt32LE(22);
  return checked({
    width: bytes.readInt32LE(18),
    height: Math.abs(height),
    topDown: height < 0,
    bitsPerPixel,
    dataOffset: bytes.readUInt32LE(10),
    palette: bytes.subarray(14 + headerSize + masksAfterHeader),
    paletteStride: 4,
    masks: masked
      ? [bytes.readUInt32LE(54), bytes.readUInt32LE(58), bytes.readUInt32LE(62)]
      : defaultMasks(bitsPerPixel),
  });
}

function checked(header: Header): Header {
  const { width, height, bitsPerPixel } = header;
  if (![1, 4, 8, 16, 24, 32].includes(bitsPerPixel)) {
    throw new Error(`expected 1, 4, 8, 16, 24 or 32 bits per pixel, got ${bitsPerPixel}`);
  }
  if (width < 1 || height < 1 || width * height > maxPixels) {
    throw new Error(`expected 1 to ${maxPixels} pixels, got ${width} x ${height}`);
  }
  return header;
}

function defaultMasks(bitsPerPixel: number): Header["masks"] {
  return bitsPerPixel === 16 ? [0x7c00, 0x03e0, 0x001f] : [0xff0000, 0x00ff00, 0x0000ff];
}

function indexedRow(row: Uint8Array, target: Uint8Array, header: Header): void {
  const { bitsPerPixel, palette, paletteStride, width } = header;
  const perByte = 8 / bitsPerPixel;
  const mask = (1 << bitsPerPixel) - 1;
  for (let x = 0; x < width; x++) {
    const shift = 8 - bitsPerPixel * ((x % perByte) + 1);
    const color = ((row[Math.floor(x / perByte)]! >> shift) & mask) * paletteStride;
    target[x * 3] = palette[color + 2] ?? 0;
    target[x * 3 + 1] = palette[color + 1] ?? 0;
    target[x * 3 + 2] = palette[color] ?? 0;
  }
}

function blueGreenRedRow(row: Uint8Array, target: Uint8Array): void {
  for (let at = 0; at < target.length; at += 3) {
    target[at] = row[at + 2]!;
    target[at + 1] = row[at + 1]!;
    target[at + 2] = row[at]!;
  }
}

function maskedRow(row: Uint8Array, target: Uint8Array, header: Header): void {
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  const bytesPerPixel = header.bitsPerPixel / 8;
  for (let x = 0; x < header.width; x++) {
    const value = bytesPerPixel === 2 ? view.getUint16(x * 2, true) : view.getUint32(x * 4, true);
    header.masks.forEach((mask, channel) => {
      target[x * 3 + channel] = maskedValue(value, mask);
    });
  }
}

/** Returns the bits under the mask, scaled to 0 to 255. */
function maskedValue(value: number, mask: number): number {
  if (mask === 0) return 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const largest = mask >>> shift;
  return Math.floor((((value & mask) >>> shift) * 255) / largest);
}
