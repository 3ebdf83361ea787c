# docker build -t tributary . && docker run --init -p 8420:8420 -v tributary:/data tributary
#
# Beyond loopback a token is required. At its first start the replica makes one and prints it once, on stderr
# (`docker logs`); only its hash is stored in /data. To choose it yourself, set TRIBUTARY_TOKEN or mount a file and add
# `--token-file FILE` to the command.

FROM node:20-bookworm-slim AS builder
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3 make g++ \
  && rm -rf /var/lib/apt/lists/*
# better-sqlite3 is compiled where no binary fits; these are the image's own headers, so nothing is downloaded for it
ENV npm_config_nodedir=/usr/local
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY migrations ./migrations
COPY merge-strategies ./merge-strategies
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY LICENSE ./
COPY --from=builder /app/package.json ./
COPY --from=builder /app/node_modules ./node_modules
COPY --from=builder /app/dist ./dist
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8420
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8420/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/src/main.cjs"]
CMD ["up", "--data", "/data", "--host", "0.0.0.0"]
