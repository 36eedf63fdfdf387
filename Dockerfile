# Two ways to the same image:
#
#   docker build -t grafana-token-proxy .
#       compiles in a builder image (any with cargo and a musl target: --build-arg BUILDER=…)
#
#   cargo build --release --target x86_64-unknown-linux-musl
#   buildah build --isolation chroot --format docker --target prebuilt -t grafana-token-proxy .
#       takes that binary and needs no base image, no engine and no network
#
# --format docker: the OCI image format has no place for HEALTHCHECK.

ARG BUILDER=docker.io/library/rust:1.95-alpine

# What both images are, apart from the program: nothing but a user. No shell, no libc, no folder that can be written.
FROM scratch AS base
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="grafana-token-proxy" \
      org.opencontainers.image.description="Authenticating reverse-proxy sidecar for Grafana: repairs Authorization, limits each token, sets the organisation, and explains every 401, 403 and 429" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A number, since runAsNonRoot cannot judge a name. Any other works as well: nothing in the image belongs to it.
USER 65532:65532
# Data and telemetry. The admin page listens on the loopback of the container only.
EXPOSE 3001 9091
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/grafana-token-proxy", "healthcheck"]
ENTRYPOINT ["/grafana-token-proxy"]
CMD ["run"]

# A binary that was built outside; it must be static.
FROM base AS prebuilt
ARG BINARY=target/x86_64-unknown-linux-musl/release/grafana-token-proxy
COPY --chmod=0555 ${BINARY} /grafana-token-proxy

FROM ${BUILDER} AS build
WORKDIR /source
COPY . .
# The machine's own architecture, linked statically. Without rustup, the builder image must bring the target itself.
RUN set -eu; \
    target="$(uname -m)-unknown-linux-musl"; \
    if command -v rustup >/dev/null; then rustup target add "$target"; fi; \
    cargo build --release --locked --target "$target"; \
    cp "target/$target/release/grafana-token-proxy" /grafana-token-proxy

FROM base AS image
COPY --from=build --chmod=0555 /grafana-token-proxy /grafana-token-proxy
