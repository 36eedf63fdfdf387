# What contributors and CI run. `just` lists it.

default:
    @just --list

# Everything that must hold before a change lands.
check: format lint docs fuzz test benches instructions deploy

format:
    cargo fmt --check

lint:
    cargo clippy --all-targets --locked -- -D warnings

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# The fuzz targets compile; to run one takes a nightly compiler: cargo fuzz run NAME, in fuzz/.
fuzz:
    cargo check --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz

test:
    ./test

# The measuring programs, which are a package of their own.
benches:
    benches/compare/check

# Instructions and system calls for a request, against benches/baseline.json.
instructions:
    benches/instructions

# Archives and images of a release, in target/dist.
release:
    deploy/release

deploy:
    deploy/check

# Which lines of src the tests run; all of them once more, so it is no part of check.
coverage:
    tests/coverage
