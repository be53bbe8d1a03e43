/** Characters whose folded form is not that of their capital in lower case. */
const others: ReadonlyMap<string, string> = new Map([
  ["ı", "ı"],
  ["ẞ", "ss"],
]);

/**
 * Returns a text in Unicode's form NFKC_Casefold, in which texts that differ in case alone are equal, as `tf_text.case_fold_utf8` does:
 * `Straße` becomes `strasse`. Code points that are ignored by default are left out.
 */
export function caseFolded(text: string): string {
  const folded = Array.from(text.normalize("NFKC"), foldedCharacter).join("");
  return folded.normalize("NFKC").replace(/\p{Default_Ignorable_Code_Point}/gu, "");
}

function foldedCharacter(character: string): string {
  // Cherokee is folded to its capitals, which Unicode had first.
  if (/\p{Script=Cherokee}/u.test(character)) return character.toUpperCase();
  return others.get(character) ?? Array.from(character.toUpperCase(), (each) => each.toLowerCase()).join("");
}
