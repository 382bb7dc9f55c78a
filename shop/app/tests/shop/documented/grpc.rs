//! Every gRPC method × role × owner, from the descriptors; who may call is what `shop routes` tells.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream;
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};
use shop_contracts::grpc::{inventory, order, payment, user};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::access::roles;
use super::{Scene, none_wrong};
use crate::grpc::new_order;
use crate::support::{Caller, launch, operate};

/// More than an answer takes; a stream that is still open then was let in.
const WITHIN: Duration = Duration::from_secs(5);

/// Messages as bytes, whatever they are.
#[derive(Clone, Copy)]
struct Raw;

/// A method of the descriptors.
struct Method {
    package: String,
    path: String,
    input: DescriptorProto,
}

#[tokio::test]
async fn every_method_of_the_descriptors_lets_in_whom_it_says_and_nobody_else() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let channel = scene.shop.grpc().await.channel;
    let stated = stated().await;
    let methods = methods();
    assert!(methods.len() >= 18, "{} methods", methods.len());
    let mut wrong = Vec::new();
    for method in &methods {
        let Some(access) = stated.get(&method.path) else {
            wrong.push(format!("{} is not in `shop routes`", method.path));
            continue;
        };
        let nobody = call(&channel, &scene.shop.anyone(), method, Vec::new()).await;
        let opens = nobody != Code::Unauthenticated;
        if opens != (access == "public") {
            wrong.push(format!(
                "{} ({access}), without a token: {nobody:?}",
                method.path
            ));
        }
        let callers = [
            ("customer", &scene.bob),
            ("staff", &scene.staff),
            ("admin", &scene.admin),
        ];
        for (role, caller) in callers {
            let Some((message, wanted)) = wanted(&scene, method, access, role) else {
                continue;
            };
            let got = call(&channel, caller, method, message).await;
            if !wanted.is(got) {
                wrong.push(format!("{} ({access}), by {role}: {got:?}", method.path));
            }
        }
    }
    for path in stated.keys().filter(|path| !path.starts_with("/grpc.")) {
        if !methods.iter().any(|method| method.path == **path) {
            wrong.push(format!(
                "{path} is a service that this test has no descriptors of"
            ));
        }
    }
    none_wrong(&wrong);
    assert_eq!(scene.state().await, before, "something has changed");
}

/// What an answer must be.
enum Wanted {
    Refused(Code),
    /// Whatever it is that the call then comes to.
    LetIn,
}

impl Wanted {
    fn is(&self, got: Code) -> bool {
        match self {
            Self::Refused(code) => got == *code,
            Self::LetIn => !matches!(
                got,
                Code::Unauthenticated | Code::PermissionDenied | Code::NotFound | Code::Internal
            ),
        }
    }
}

/// A message for somebody of that role, about what is Ada's if the method is about anything, and what comes of it; `None`
/// where the role may, and something would change.
fn wanted(scene: &Scene, method: &Method, access: &str, role: &str) -> Option<(Vec<u8>, Wanted)> {
    let holds = |permission: &str| roles().permissions_of([role]).allows(permission);
    let guarded = access.strip_prefix("policy(");
    let guarded = guarded.and_then(|rest| rest.strip_suffix(')'));
    match guarded {
        Some(permission) if holds(permission) => {
            let reads = permission.ends_with(":read");
            let message = about_ada(scene, method).filter(|_| reads)?;
            Some((message, Wanted::LetIn))
        }
        // A stranger's is not there.
        Some(_) => Some((about_ada(scene, method)?, Wanted::Refused(Code::NotFound))),
        None if access.contains(':') && holds(access) => Some((Vec::new(), Wanted::LetIn)),
        None if access.contains(':') => Some((Vec::new(), Wanted::Refused(Code::PermissionDenied))),
        None if access == "public" || role != "customer" => None,
        None => Some((about_ada(scene, method)?, Wanted::Refused(Code::NotFound))),
    }
}

/// Who may call each method, as an operator is told.
async fn stated() -> BTreeMap<String, String> {
    let listed = operate(launch(&[]), &["routes"]).await.expect(0).out;
    let lines = listed.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let path = words
            .next()
            .filter(|path| path.contains('.') && !path.contains("well-known"))?;
        Some((
            path.to_owned(),
            words.next()?.trim_end_matches(',').to_owned(),
        ))
    });
    lines.collect()
}

fn methods() -> Vec<Method> {
    let all = [
        user::v1::DESCRIPTORS,
        order::v1::DESCRIPTORS,
        inventory::v1::DESCRIPTORS,
        payment::v1::DESCRIPTORS,
    ];
    let mut methods = BTreeMap::new();
    for set in all.map(|bytes| FileDescriptorSet::decode(bytes).unwrap()) {
        let messages = set.file.iter().flat_map(|file| {
            let package = file.package().to_owned();
            file.message_type
                .iter()
                .map(move |message| (format!(".{package}.{}", message.name()), message))
        });
        let messages: BTreeMap<_, _> = messages.collect();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let input = messages
                        .get(method.input_type())
                        .map(|known| (*known).clone());
                    let method = Method {
                        package: file.package().to_owned(),
                        path: path.clone(),
                        input: input.unwrap_or_default(),
                    };
                    methods.insert(path, method);
                }
            }
        }
    }
    methods.into_values().collect()
}

/// A message about what is Ada's; `None` for one that is about nothing of hers.
fn about_ada(scene: &Scene, method: &Method) -> Option<Vec<u8>> {
    if method.path.ends_with("/PlaceOrder") {
        let message = order::v1::PlaceOrderRequest {
            customer_id: Some(scene.ada.id.clone()),
            ..new_order("MUG-BLUE", 1)
        };
        return Some(message.encode_to_vec());
    }
    let mut message = Vec::new();
    for field in &method.input.field {
        let id = match (method.package.as_str(), field.name()) {
            ("order.v1", "id" | "order_id") => scene.order.text_at("/id"),
            ("payment.v1", "id" | "payment_id") => scene.order.text_at("/payment_id"),
            ("user.v1", "id" | "user_id") | (_, "customer_id") => scene.ada.id.clone(),
            _ => continue,
        };
        prost::encoding::string::encode(field.number() as u32, &id, &mut message);
    }
    (!message.is_empty()).then_some(message)
}

async fn call(channel: &Channel, who: &Caller, method: &Method, message: Vec<u8>) -> Code {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let key = stanchion::runtime::id::new_v7().to_string();
    let request = who.keyed(&key, stream::iter([message]));
    let path = method.path.parse().unwrap();
    let called = async {
        let mut answers = grpc.streaming(request, path, Raw).await?.into_inner();
        answers.message().await
    };
    match timeout(WITHIN, called).await {
        Ok(Err(status)) => status.code(),
        Ok(Ok(_)) | Err(_) => Code::Ok,
    }
}

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        let length = bytes::Buf::remaining(buffer);
        bytes::Buf::advance(buffer, length);
        Ok(Some(()))
    }
}
