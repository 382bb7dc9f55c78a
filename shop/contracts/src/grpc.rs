//! The public gRPC API as `proto/` describes it: messages, clients and servers, generated.

mod values;

pub use values::{instant, timestamp};

/// The largest message that is taken, as large as a body of REST: 1 MiB.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A package as it was generated, and what describes it for reflection.
macro_rules! package {
    ($(#[$doc:meta])* $name:ident, $package:literal) => {
        $(#[$doc])*
        pub mod $name {
            $(#[$doc])*
            #[allow(
                clippy::all,
                missing_docs,
                unreachable_pub,
                reason = "generated: the .proto file is what is written and read"
            )]
            pub mod v1 {
                tonic::include_proto!($package);

                /// The encoded `FileDescriptorSet` of the package, with everything that it imports.
                pub const DESCRIPTORS: &[u8] =
                    include_bytes!(concat!(env!("OUT_DIR"), "/", $package, ".bin"));
            }
        }
    };
}

package! {
    /// `user.v1`
    user, "user.v1"
}

package! {
    /// `order.v1`
    order, "order.v1"
}

package! {
    /// `inventory.v1`
    inventory, "inventory.v1"
}

package! {
    /// `payment.v1`
    payment, "payment.v1"
}

package! {
    /// `identity.v1`: between the shop's own services.
    identity, "identity.v1"
}

/// `common.v1`: what the packages share.
pub mod common {
    /// `common.v1`: what the packages share.
    #[allow(clippy::all, missing_docs, reason = "generated, as the others")]
    pub mod v1 {
        tonic::include_proto!("common.v1");
    }
}
