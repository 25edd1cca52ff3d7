"""A client of TensorFlow Serving for the models of an export.

```python
from ltgans_tf.export.client import Client

client = Client("http://localhost:8501")
files = client.sample(64, seed=0)  # 64 PNG files, bytes
cats = client.sample(64, seed=0, domain="cats")
codes = client.encode_files(["cat.png"])["mean"]  # float32 [1, D]
images = client.predict("generator", "serving_default", {"latents": latents})["images"]
```

It uses REST by default, which needs neither TensorFlow nor gRPC. `ltgans client` is the command.
"""

from ltgans_tf.export.client.failures import NotServed as NotServed
from ltgans_tf.export.client.failures import Refused as Refused
from ltgans_tf.export.client.serving import Client as Client
from ltgans_tf.export.client.serving import image_seeds as image_seeds
