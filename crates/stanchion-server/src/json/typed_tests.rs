use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Order {
    items: Vec<Item>,
    #[serde(default)]
    note: Option<String>,
    kind: Kind,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Item {
    sku: String,
    quantity: u32,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    Gift { to: String },
}

fn misfit(value: Value) -> (String, String) {
    let misfit = from_json::<Order>(value).unwrap_err();
    (misfit.path.clone(), misfit.to_string())
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
struct Sku(String);

impl TryFrom<String> for Sku {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.is_empty() {
            Err("must not be empty")
        } else {
            Ok(Self(text))
        }
    }
}

#[test]
fn what_a_value_finds_wrong_with_itself_is_named_by_its_path() {
    #[derive(Debug, Deserialize)]
    struct Basket {
        #[allow(dead_code)]
        skus: Vec<Sku>,
        #[allow(dead_code)]
        gift: Option<Sku>,
    }
    let cases = [
        (json!({"skus": ["a", ""]}), "skus[1]"),
        (json!({"skus": [], "gift": ""}), "gift"),
    ];
    for (value, path) in cases {
        let misfit = from_json::<Basket>(value).unwrap_err();
        assert_eq!(
            (misfit.path.as_str(), misfit.to_string().as_str()),
            (path, "must not be empty")
        );
    }
}

#[test]
fn every_misfit_is_named_by_its_path() {
    let item = json!({"sku": "a", "quantity": 1});
    let cases = [
        (json!([]), "", "must be an object"),
        (json!(7), "", "must be an object"),
        (
            json!({"items": [item], "kind": "plain", "extra": 1}),
            "extra",
            "is not known",
        ),
        (json!({"items": [item]}), "kind", "is required"),
        (
            json!({"items": [{"sku": "a"}], "kind": "plain"}),
            "items[0].quantity",
            "is required",
        ),
        (
            json!({"items": [item, {"sku": 1, "quantity": 1}], "kind": "plain"}),
            "items[1].sku",
            "must be a string",
        ),
        (
            json!({"items": [{"sku": "a", "quantity": -1}], "kind": "plain"}),
            "items[0].quantity",
            "is out of range",
        ),
        (
            json!({"items": [{"sku": "a", "quantity": 1.5}], "kind": "plain"}),
            "items[0].quantity",
            "must be an integer",
        ),
        (
            json!({"items": [{"sku": "a", "quantity": 1, "price": 0}], "kind": "plain"}),
            "items[0].price",
            "is not known",
        ),
        (
            json!({"items": [], "kind": "odd"}),
            "kind",
            "must be one of plain, gift",
        ),
        (
            json!({"items": [], "kind": {"gift": {}}}),
            "kind.gift.to",
            "is required",
        ),
        (
            json!({"items": {}, "kind": "plain"}),
            "items",
            "must be an array",
        ),
    ];
    for (value, path, reason) in cases {
        assert_eq!(
            misfit(value.clone()),
            (path.into(), reason.into()),
            "{value}"
        );
    }
}

#[test]
fn whole_floats_are_integers() {
    let value = json!({"sku": "a", "quantity": 2.0});
    assert_eq!(from_json::<Item>(value).unwrap().quantity, 2);
}

#[test]
fn texts_become_what_is_wanted() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Wanted {
        count: i64,
        flag: bool,
        names: Vec<String>,
        id: uuid::Uuid,
        absent: Option<u8>,
    }
    let id = uuid::Uuid::from_u128(7);
    let value = json!({"count": "-3", "flag": "true", "names": "a", "id": id.to_string()});
    let wanted = from_text::<Wanted>(value).unwrap();
    assert_eq!((wanted.count, wanted.flag, wanted.id), (-3, true, id));
    assert_eq!((wanted.names, wanted.absent), (vec!["a".to_owned()], None));
    let misfit = from_text::<Wanted>(json!({"count": "3x"})).unwrap_err();
    assert_eq!(
        (misfit.path.as_str(), misfit.to_string().as_str()),
        ("count", "must be an integer")
    );
}
