# No `syntax` line: it would be one image more to fetch and to trust, and nothing here needs it.
# Both bases by tag. A release gives them by digest, so that the same source makes the same image (deploy/README.md):
#   --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:… --build-arg RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot@sha256:…
ARG NODE_IMAGE=node:24-bookworm-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot

# On the machine's own architecture whatever the image is for: what comes out is JavaScript.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY scripts ./scripts
COPY src ./src
# `omit` leaves out the clients of AWS and Azure and of tracing, where they are not used.
ARG CLOUD_CLIENTS=include
# The source map stays here: it is for whoever reads a stack, not for the program. What the other stage needs beside the
# program is made here as well, because it has no shell: the command for `docker exec`, and the state folder.
RUN npm run bundle -- --out out --clients "$CLOUD_CLIENTS" \
 && rm out/delegate.mjs.map \
 && mkdir state && mkdir --mode=0770 state/servicenow-delegate \
 && mkdir bin \
 && echo '#!/nodejs/bin/node' > bin/servicenow-delegate \
 && echo 'import("/opt/servicenow-delegate/delegate.mjs");' >> bin/servicenow-delegate \
 && chmod 0755 bin/servicenow-delegate

FROM ${RUNTIME_IMAGE}
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="servicenow-delegate" \
      org.opencontainers.image.description="Runs in your network, takes tasks from a manager and calls your ServiceNow" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /opt/servicenow-delegate
COPY LICENSE ./
COPY --from=build /build/out ./
COPY --from=build /build/bin /usr/local/bin
# Of group 0, which is whom an orchestrator with random user numbers (OpenShift) runs it as.
COPY --from=build --chown=65532:0 /build/state /var/lib
# Numeric, so that an orchestrator can verify that it is not root without a user database.
USER 65532:65532
# The identity, and what the manager has not acknowledged yet: a named volume or a claim of its own, kept across
# containers. Without one Docker makes an anonymous volume, which the next container does not get.
VOLUME ["/var/lib/servicenow-delegate"]
ENV NODE_ENV=production \
    DELEGATE_STATE_DIR=/var/lib/servicenow-delegate \
    DELEGATE_HTTP_HOST=0.0.0.0 \
    DELEGATE_HTTP_PORT=8080
EXPOSE 8080
# A stop takes up to the grace and 5 s, 30 s by default; Docker's own patience is 10 s: `docker stop -t 30`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
  CMD ["/usr/local/bin/servicenow-delegate", "healthcheck"]
# No shell in between: signals reach the delegate itself. Flags for Node go between the two words, and
# into scripts/bundle/node-flags.ts, so that the bench measures with them.
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=4", "--max-old-space-size=192", "--liftoff-only", "/opt/servicenow-delegate/delegate.mjs"]
CMD ["run"]
