//! Keeps what is in memory there: tokens pass through it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core file, and no other process of the same user that looks into this one. Both are precautions: where the system
/// refuses them, the proxy serves all the same and says so.
///
/// Landlock and seccomp are left to what starts the program (the unit file, the pod's security context): they would have
/// to know every file of a later reload, and a container runtime sets its own profile anyway.
pub(super) fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(event = "not_hardened", detail = %error, "core files cannot be forbidden");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(event = "not_hardened", detail = %error, "other processes may look into this one");
    }
}
