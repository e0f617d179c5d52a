# syntax=docker/dockerfile:1
# One image for every role: `makegood serve ROLE`, `makegood migrate`. Migrations and saga definitions are inside the
# binary, so the image holds that one file, the C library and the certificates of public authorities.
#
#   docker build -t makegood:0.1.0 .
#
# Both base images are named by tag here, so that a rebuild takes their security updates. A release is built by
# digest, with the digests that were looked at:
#   docker build --build-arg BUILDER=rust@sha256:… --build-arg RUNTIME=gcr.io/distroless/cc-debian13@sha256:… .

# Both on Debian 13: the binary is linked with the builder's C library and runs on the other's.
ARG BUILDER=rust:1.95.0-trixie
ARG RUNTIME=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILDER} AS builder
WORKDIR /source
COPY . .
# The caches outlive the layer, the binary does not: it is copied out of the cache in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package makegood \
    && cp target/release/makegood /usr/local/bin/makegood

FROM ${RUNTIME}
LABEL org.opencontainers.image.title="Makegood" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /usr/local/bin/makegood /usr/local/bin/makegood
# By number, because Kubernetes cannot tell from a name that a user is not root.
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/usr/local/bin/makegood"]
