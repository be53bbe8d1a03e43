/** @file Keys of config entries that tell what a functional model was built from in KerasHub. */

/** The arguments of its KerasHub class, beside the functional config built from them. */
export const argumentsKey = "kerashub_config";

/** The attribute of a composite layer that holds this one, which names its group in a file of weights. */
export const attributeKey = "kerashub_attribute";
