# The API, the worker and the provisioning job are one image; the command says which of them runs.
FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
# The root file system is read-only at run time: what writes a cache does so in /tmp.
ENV NODE_ENV=production HOME=/tmp
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY . .
# A volume that is mounted here takes over the owner and the mode.
RUN install -d -o node -g node -m 700 /var/lib/trailkeeper /var/lib/trailkeeper/keys /var/lib/trailkeeper/archive
USER node
CMD ["node", "stack/api.ts"]
