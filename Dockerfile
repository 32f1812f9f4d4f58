# syntax=docker/dockerfile:1
# Everything is built in the first stage; the second holds the built program and its run-time dependencies only.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
# `omit` leaves out the clients of AWS and Azure, three quarters of the size, where their secret stores are not used.
ARG CLOUD_CLIENTS=include
# The development world (the fakes, the demo) stays out of the image.
RUN npm run build \
 && rm -r dist/dev dist/cli/demo.js dist/cli/dev.js dist/cli/dev-processes.js dist/cli/world.js \
 && npm prune --omit=dev $([ "$CLOUD_CLIENTS" = include ] || echo --omit=optional) --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="servicenow-delegate" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /opt/servicenow-delegate
COPY LICENSE ./
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
# Numeric, so that an orchestrator can verify that it is not root without a user database.
RUN mkdir -p /var/lib/servicenow-delegate && chown 65532:65532 /var/lib/servicenow-delegate
USER 65532:65532
# The identity, and what the manager has not acknowledged yet: a named volume or a claim of its own, kept across
# containers. Without one Docker makes an anonymous volume, which the next container does not get.
VOLUME ["/var/lib/servicenow-delegate"]
ENV NODE_ENV=production \
    DELEGATE_STATE_DIR=/var/lib/servicenow-delegate \
    DELEGATE_HTTP_HOST=0.0.0.0 \
    DELEGATE_HTTP_PORT=8080
EXPOSE 8080
# No shell in between: signals reach the delegate itself. A stop takes up to the grace and 5 s, 30 s by default; Docker's
# own patience is 10 s, so stop with `docker stop -t 30`.
ENTRYPOINT ["node", "/opt/servicenow-delegate/dist/cli/index.js"]
CMD ["run"]
