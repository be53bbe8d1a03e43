/** Loaded before the command: the wall clock is days ahead or behind at every reading, in turn. */
const now = Date.now;
let readings = 0;
const jumped = () => now() + (readings++ % 2 === 0 ? 1 : -1) * (1 + (readings % 5)) * 86_400_000;

globalThis.Date = class extends Date {
  constructor(...given) {
    super(...(given.length === 0 ? [jumped()] : given));
  }
  static now() {
    return jumped();
  }
};
