//! What a `bulk_write` is about.

use mongodb::Namespace;
use mongodb::bson::doc;
use mongodb::options::{DeleteOneModel, InsertOneModel};

use super::*;

fn of(collections: &[&str], nobody_asks: bool) -> (usize, Option<String>) {
    let mut targets = Targets::new(nobody_asks);
    for (number, collection) in collections.iter().enumerate() {
        let namespace = Namespace::new("shop", *collection);
        let model: WriteModel = if number % 2 == 0 {
            InsertOneModel::builder().namespace(namespace).document(doc! {}).build().into()
        } else {
            DeleteOneModel::builder().namespace(namespace).filter(doc! {}).build().into()
        };
        targets.see(&model);
    }
    let only = targets.only.filter(|_| !targets.several);
    (targets.operations, only.map(|only| only.to_string()))
}

#[test]
fn one_collection_is_told_and_of_several_none() {
    assert_eq!(of(&["users", "users", "users"], false), (3, Some("shop.users".to_owned())));
    assert_eq!(of(&["users", "orders", "users"], false), (3, None));
    assert_eq!(of(&[], false), (0, None));
}

/// Nor is anything kept of them.
#[test]
fn where_nobody_asks_none_is_told() {
    let mut targets = Targets::new(true);
    let insert = InsertOneModel::builder().namespace(Namespace::new("shop", "users"));
    targets.see(&insert.document(doc! {}).build().into());
    assert!(targets.only.is_none());
    assert_eq!(of(&["users"], true), (1, None));
}
