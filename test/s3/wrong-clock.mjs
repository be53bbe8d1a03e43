/** Loaded before the command: the clock is three hours slow. */
const slow = 3 * 3600 * 1000;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() - slow);
    else super(...args);
  }
  static now() {
    return RealDate.now() - slow;
  }
};
