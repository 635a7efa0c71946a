//! The bare client of Elasticsearch 9, on Elasticsearch 8, and on 9 where that runs.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use elasticsearch::http::StatusCode;
use elasticsearch::http::response::Response;
use elasticsearch::http::transport::Transport;
use elasticsearch::indices::IndicesDeleteParts;
use elasticsearch::params::{OpType, Refresh};
use elasticsearch::{
    BulkOperation, BulkParts, Elasticsearch, GetParts, IndexParts, SearchParts, UpdateParts,
};
use integration_tests::{address_where_it_runs, eventually, private, unique_name};
use native::{Extra, Server};
use otel_testing::live;
use serde_json::{Value, json};
use tokio::task::block_in_place;

fn client(url: &str) -> Elasticsearch {
    Elasticsearch::new(Transport::single_node(url).unwrap())
}

/// Of all the servers.
fn clients() -> Vec<Elasticsearch> {
    let both = [live::address("ELASTICSEARCH"), address_where_it_runs(Server::elasticsearch9())];
    both.iter().flatten().map(|url| client(url)).collect()
}

async fn write(client: &Elasticsearch, index: &str, id: &str, document: Value) -> Response {
    let request = client.index(IndexParts::IndexId(index, id)).body(document);
    request.refresh(Refresh::True).send().await.unwrap()
}

async fn read(client: &Elasticsearch, index: &str, id: &str) -> Response {
    client.get(GetParts::IndexId(index, id)).send().await.unwrap()
}

async fn search(client: &Elasticsearch, index: &str, query: Value) -> Response {
    client.search(SearchParts::Index(&[index])).body(query).send().await.unwrap()
}

/// What a failed test leaves goes with the server.
async fn remove(client: &Elasticsearch, index: &str) {
    let removed = client.indices().delete(IndicesDeleteParts::Index(&[index])).send().await;
    assert_eq!(removed.unwrap().status_code(), StatusCode::OK);
}

/// The status and what the server called it.
async fn refused(response: Response) -> (u16, String) {
    let status = response.status_code().as_u16();
    let exception = response.exception().await.unwrap().expect("it is an error");
    assert_eq!(exception.status(), Some(status));
    (status, exception.error().ty().unwrap().to_owned())
}

#[tokio::test]
async fn what_is_written_is_read_back_and_found() {
    for client in clients() {
        let (index, document) = (unique_name(), json!({ "name": "ann", "age": 40 }));
        let written = write(&client, &index, "1", document.clone()).await;
        assert_eq!(written.status_code(), StatusCode::CREATED);
        let found: Value = read(&client, &index, "1").await.json().await.unwrap();
        assert_eq!(found["_source"], document);

        let query = json!({ "query": { "match": { "name": "ann" } } });
        let found = search(&client, &index, query).await;
        let found: Value = found.json().await.unwrap();
        assert_eq!(found["hits"]["hits"][0]["_source"], document);
        assert_eq!(found["hits"]["total"]["value"], 1);
        remove(&client, &index).await;
    }
}

#[tokio::test]
async fn an_index_that_is_not_there_is_an_error() {
    for client in clients() {
        let response = read(&client, &unique_name(), "1").await;
        assert_eq!(refused(response).await, (404, "index_not_found_exception".to_owned()));
    }
}

/// The same status as that of an error, and none in the body.
#[tokio::test]
async fn a_document_that_is_not_there_is_an_answer() {
    for client in clients() {
        let index = unique_name();
        write(&client, &index, "1", json!({})).await;
        let response = read(&client, &index, "2").await;
        assert_eq!(response.status_code(), StatusCode::NOT_FOUND);
        let answer: Value = response.json().await.unwrap();
        assert_eq!((&answer["found"], &answer["error"]), (&json!(false), &Value::Null));
        remove(&client, &index).await;
    }
}

#[tokio::test]
async fn two_writers_of_one_version_are_in_conflict() {
    for client in clients() {
        let index = unique_name();
        write(&client, &index, "1", json!({ "writer": 0 })).await;
        let conflict = (409, "version_conflict_engine_exception".to_owned());
        let create = client.index(IndexParts::IndexId(&index, "1")).op_type(OpType::Create);
        let response = create.body(json!({ "writer": 1 })).send().await.unwrap();
        assert_eq!(refused(response).await, conflict);

        let update = || client.update(UpdateParts::IndexId(&index, "1")).if_seq_no(0);
        let body = json!({ "doc": { "writer": 2 } });
        let first = update().if_primary_term(1).body(body.clone()).send().await.unwrap();
        assert_eq!(first.status_code(), StatusCode::OK);
        let second = update().if_primary_term(1).body(body).send().await.unwrap();
        assert_eq!(refused(second).await, conflict);
        remove(&client, &index).await;
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_parsed_is_an_error() {
    for client in clients() {
        let index = unique_name();
        write(&client, &index, "1", json!({})).await;
        let query = json!({ "query": { "nosuch": {} } });
        let response = search(&client, &index, query).await;
        assert_eq!(refused(response).await, (400, "parsing_exception".to_owned()));
        remove(&client, &index).await;
    }
}

/// The request succeeds.
#[tokio::test]
async fn a_bulk_request_tells_which_of_its_items_failed() {
    for client in clients() {
        let index = unique_name();
        let create =
            |id: &str| BulkOperation::from(BulkOperation::create(json!({ "id": id })).id(id));
        let body = vec![create("1"), create("1"), create("2")];
        let response = client.bulk(BulkParts::Index(&index)).body(body).send().await.unwrap();
        assert_eq!(response.status_code(), StatusCode::OK);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["errors"], true);
        let items = answer["items"].as_array().unwrap();
        let status: Vec<_> = items.iter().map(|item| &item["create"]["status"]).collect();
        assert_eq!(status, [201, 409, 201]);
        let kind = &items[1]["create"]["error"]["type"];
        assert_eq!(kind, "version_conflict_engine_exception");
        remove(&client, &index).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_client_reconnects_and_all_that_was_acknowledged_is_there() {
    let server = block_in_place(|| private(Server::elasticsearch(), Extra::new()));
    let Some(mut server) = server else { return };
    let (client, index) = (client(server.url()), unique_name());
    let document = json!({ "name": "ann" });
    write(&client, &index, "1", document.clone()).await;
    block_in_place(|| server.kill()).unwrap();
    let error = client.get(GetParts::IndexId(&index, "1")).send().await.unwrap_err();
    assert_eq!(error.status_code(), None, "{error:?}");
    block_in_place(|| server.restart()).unwrap();
    eventually("the shard of the document is back", async || {
        let response = client.get(GetParts::IndexId(&index, "1")).send().await;
        response.is_ok_and(|response| response.status_code() == StatusCode::OK)
    })
    .await;
    let found: Value = read(&client, &index, "1").await.json().await.unwrap();
    assert_eq!(found["_source"], document);
}
