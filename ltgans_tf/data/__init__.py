"""Image collections as a stream of tasks: how they are named, found and read.

| name | what it is |
|---|---|
| `TaskStream` | the tasks in their order: `stream.tasks` |
| `Task` | one collection: batches to train on, images and labels of both splits, factors of the test split |
| `parse`, `TaskSpec` | the grammar of task specs, such as `mnist@3` and `folder:PATH` |
| `fuzzy_exchange` | two specs that exchange a class (Table 3 of the paper) |
| `fit_image` | fits any image to a stream's size and channels, uint8 |
| `normalize`, `to_uint8` | uint8 in [0, 255] to float32 in [-1, 1], and back |
"""

from ltgans_tf import _lazy

__getattr__, __dir__, __all__ = _lazy.face(
    __name__,
    {
        "Task": "streams",
        "TaskSpec": "specs",
        "TaskStream": "streams",
        "fit_image": "images",
        "fuzzy_exchange": "fuzzy",
        "normalize": "images",
        "parse": "specs",
        "to_uint8": "images",
    },
)
