/** One statement about what is frozen, as data. Position policies exclude each other; patterns add up. */
export type FreezePolicy =
  | { readonly kind: "until"; readonly patterns: readonly string[] }
  | { readonly kind: "through"; readonly patterns: readonly string[] }
  | { readonly kind: "freeze"; readonly patterns: readonly string[] }
  | { readonly kind: "unfreeze"; readonly patterns: readonly string[] }
  | { readonly kind: "depth"; readonly n: number; readonly container?: string }
  | { readonly kind: "all-but-head" };
