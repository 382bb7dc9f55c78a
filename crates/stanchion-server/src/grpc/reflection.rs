use crate::{Anyone, Grpc};

/// `grpc.reflection.v1` over all these descriptors.
///
/// # Errors
/// They contradict each other.
pub(crate) fn reflection(descriptors: &[&'static [u8]]) -> Result<Grpc, String> {
    let mut builder = tonic_reflection::server::Builder::configure();
    for set in descriptors {
        builder = builder.register_encoded_file_descriptor_set(set);
    }
    let service = builder.build_v1();
    let service = service.map_err(|error| format!("gRPC descriptors: {error}"))?;
    let own = tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET;
    Ok(Grpc::new(service, own).allow::<Anyone>("ServerReflectionInfo"))
}
