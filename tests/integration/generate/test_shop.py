"""A template of several collections, through the command line and a worker."""

from __future__ import annotations

from tests.fleet import Fleet


def test_three_collections_that_refer_to_each_other(fleet: Fleet) -> None:
    fleet.start_worker(1)
    result = fleet.run_json("generate", "shop", "--database", fleet.database, "--seed", 3)
    assert (result["state"], result["documents"], result["failures"]) == ("complete", 61_000, 0)
    database = fleet.mongo[fleet.database]
    counts = {name: database[name].count_documents({}) for name in database.list_collection_names()}
    assert counts == {"customers": 10_000, "products": 1000, "orders": 50_000}

    indexes = {name: database[name].index_information() for name in counts}
    assert indexes["customers"]["email"]["unique"]
    assert indexes["products"]["sku"]["unique"]
    assert indexes["products"]["category_price"]["key"] == [("category", 1), ("price", 1)]
    assert indexes["orders"].keys() == {"_id_", "customer", "item_sku"}
    assert indexes["orders"]["customer"]["key"] == [("customerId", 1), ("orderedAt", -1)]

    customers = {document["_id"]: document for document in database["customers"].find()}
    products = {document["_id"]: document for document in database["products"].find()}
    seen = set()
    for order in database["orders"].find():
        customer = customers[order["customerId"]]
        seen.add(customer["_id"])
        assert order["customerEmail"] == customer["email"]
        assert order["customerCity"] == customer["address"]["city"]
        for item in order["items"]:
            product = products[item["productId"]]
            assert {name: item[name] for name in ("sku", "name", "price")} == {
                name: product[name] for name in ("sku", "name", "price")
            }
    assert len(seen) > 9000
