#!/bin/bash
# Extracts the features of a dataset with an array of tasks, then trains once:
#
#     MODEL=resnet50.h5 DATA=photos CACHE=/shared/features OUT=runs/photos SHARDS=8 \
#       FLAGS="--freeze-until conv4" TRAIN_FLAGS="--epochs 5" ./submit.sh
#
# FLAGS go to the extraction and to the training: model, data, freezing and views decide what the features are.
# CACHE is a folder that every node sees (NFS, Lustre, EFS), or a place in a bucket (s3://bucket/features).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${MODEL:?a Keras file}" "${DATA:?a folder of images}" "${CACHE:?a folder that every node sees}" "${OUT:?a run folder}"
export MODEL DATA CACHE OUT FINETUNE FLAGS TRAIN_FLAGS
FINETUNE=${FINETUNE:-npx finetune} FLAGS=${FLAGS:-} TRAIN_FLAGS=${TRAIN_FLAGS:-}

case "$CACHE" in s3://*) ;; *) mkdir -p "$CACHE" ;; esac
array=$(sbatch --parsable --array=0-$((${SHARDS:-8} - 1)) "$here/extract.sbatch")
training=$(sbatch --parsable --dependency=afterok:"$array" "$here/train.sbatch")
echo "features $array, then training $training"
