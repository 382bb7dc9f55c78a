use super::api::Api;

#[tokio::test]
async fn a_page_tells_totals_and_the_way_on() {
    let api = Api::new();
    let got = api.get("/things?page=2&limit=10").await.json();
    assert_eq!(
        (
            got["data"][0].as_str(),
            got["data"].as_array().unwrap().len()
        ),
        (Some("10"), 10)
    );
    let meta = &got["meta"];
    assert_eq!(
        (
            &meta["page"],
            &meta["limit"],
            &meta["total"],
            &meta["total_pages"]
        ),
        (&2.into(), &10.into(), &45.into(), &5.into())
    );
    let last = api.get("/things?page=5&limit=10").await.json();
    assert!(last["meta"]["next_cursor"].is_null() && last["data"].as_array().unwrap().len() == 5);
}

#[tokio::test]
async fn cursors_walk_through_the_whole_list() {
    let api = Api::new();
    let mut seen = Vec::new();
    let mut path = "/things?limit=20&sort=name&name=x".to_owned();
    loop {
        let got = api.get(&path).await.json();
        seen.extend(
            got["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row.as_str().unwrap().to_owned()),
        );
        let Some(cursor) = got["meta"]["next_cursor"].as_str() else {
            break;
        };
        path = format!("/things?cursor={cursor}");
    }
    let expected: Vec<_> = (0..45).map(|row| row.to_string()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_cursor_fits_one_list_one_sort_and_one_filter() {
    let api = Api::new();
    let got = api.get("/things?sort=name&order=asc&name=x").await.json();
    let cursor = got["meta"]["next_cursor"].as_str().unwrap();
    for fits in ["", "&sort=name", "&order=asc&name=x", "&limit=3"] {
        let got = api.get(&format!("/things?cursor={cursor}{fits}")).await;
        assert_eq!(got.status, 200, "{fits}");
        assert!(got.json()["meta"].get("total").is_none());
    }
    let tampered = format!("{}A{}", &cursor[..20], &cursor[21..]);
    let queries = [
        format!("cursor={cursor}&sort=made_at"),
        format!("cursor={cursor}&order=desc"),
        format!("cursor={cursor}&name=y"),
        format!("cursor={tampered}"),
        "cursor=".into(),
        "cursor=nonsense".into(),
    ];
    for query in queries {
        let got = api.get(&format!("/things?{query}")).await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (400, "INVALID_CURSOR"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn every_bad_list_parameter_is_named() {
    let api = Api::new();
    let cases = [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1000000000", "limit"),
        ("limit=-1", "limit"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=99999999999999999999", "page"),
        ("page=501", "page"),
        ("page=1&page=2", "page"),
        ("sort=password", "sort"),
        ("order=up", "order"),
        ("many=perhaps", "many"),
        ("password=x", "password"),
    ];
    for (query, parameter) in cases {
        let got = api.get(&format!("/things?{query}")).await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (400, "INVALID_PARAMETER"),
            "{query}"
        );
        assert_eq!(got.details()["parameter"], parameter, "{query}");
    }
    let deep = api.get("/things?page=501").await;
    assert!(deep.text.contains("cursor"), "{}", deep.text);
    assert_eq!(api.get("/things?page=500").await.status, 200);
}

#[tokio::test]
async fn a_consistency_token_is_for_its_own_module() {
    let api = Api::new();
    let made = api
        .write("POST /things", &[], r#"{"name": "a", "count": 1}"#)
        .await
        .json();
    let token = made["meta"]["consistency_token"].as_str().unwrap();
    let list = async |token: &str| {
        api.send(
            "GET /things",
            &[("consistency-token", token)],
            axum::body::Body::empty(),
        )
        .await
    };
    assert_eq!(list(token).await.json()["data"][0], "waited for 1");
    for wrong in ["", "nonsense", &format!("{}x", &token[..token.len() - 1])] {
        let got = list(wrong).await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (400, "INVALID_CONSISTENCY_TOKEN"),
            "{wrong}"
        );
    }
}
