"""What finished runs write down of themselves."""


def record(accuracy, seconds=2.0, dataset="mnist"):
    return {
        "dataset": dataset,
        "model": "cnn",
        "params": 1234,
        "metrics": {"test_accuracy": accuracy, "train_seconds": seconds},
        "settings": {"epochs": 3},
        "environment": {"hardware": "a machine", "versions": {"keras": "3"}},
        "commit": "abc",
        "date": "2026-01-01",
    }
