/** @file Keys of config entries that tell what a functional model was built from in KerasHub. */

/** The arguments of its KerasHub class, beside the functional config built from them. */
export const argumentsKey = "kerashub_config";

/** The attribute of a composite layer that holds this one, which names its group in a file of weights. */
export const attributeKey = "kerashub_attribute";

/** The KerasHub class of a layer that stands here as a layer of Keras with the same weights, which names its group in a file of weights. */
export const classKey = "kerashub_class";

/**
 * The place of a variable that a composite layer owns itself, which is an Embedding here: `{ index, shape, copies, also }`, its number
 * among the composite's variables, its shape there, the numbers of variables that hold the same values, and the names of variables
 * that follow from it.
 */
export const variableKey = "kerashub_variable";
