# keras-finetune with its native engine:
#
#     docker build -t keras-finetune .
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" -v features:/opt/keras-finetune-home/features \
#       keras-finetune --model /data/resnet50.h5 --freeze-until conv4 --data /data/photos --out /data/runs/photos
#
# Any user may write cached features, which stay in the volume "features" from one container to the next.
FROM node:20-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/keras-finetune
COPY . .
# The AWS SDK is there for data and features in a bucket (s3://).
RUN npm ci --no-audit --no-fund \
  && sdk="@aws-sdk/client-s3@$(node -p "require('./package.json').devDependencies['@aws-sdk/client-s3']")" \
  && npm pkg delete devDependencies peerDependencies peerDependenciesMeta \
  && npm install --ignore-scripts --no-audit --no-fund "$sdk"
ENV KERAS_FINETUNE_HOME=/opt/keras-finetune-home
RUN node bin/finetune.js setup

FROM node:20-bookworm-slim
COPY --from=build /opt/keras-finetune /opt/keras-finetune
COPY --from=build /opt/keras-finetune-home /opt/keras-finetune-home
ENV KERAS_FINETUNE_HOME=/opt/keras-finetune-home
RUN install -d -m 1777 "$KERAS_FINETUNE_HOME/features" \
  && ln -s /opt/keras-finetune/bin/finetune.js /usr/local/bin/finetune && finetune doctor
WORKDIR /data
USER node
ENTRYPOINT ["finetune"]
