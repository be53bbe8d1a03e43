/** Classes of Keras 1 and 2 that Keras 3 has not. */
export const formerLayers: ReadonlySet<string> = new Set(
  `AbstractRNNCell ConvLSTM2DCell ConvRNN2D CuDNNGRU CuDNNLSTM DenseFeatures Highway Lambda LocallyConnected1D
   LocallyConnected2D MaxoutDense Merge ParametricSoftplus RandomHeight RandomWidth SReLU SequenceFeatures SlicingOpLambda
   TFOpLambda TensorFlowOpLayer ThresholdedReLU`.split(/\s+/),
);
