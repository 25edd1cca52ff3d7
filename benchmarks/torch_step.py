"""The full step of TwinGAN from task 2 on in PyTorch, which `benchmarks.peers` compares with ours.

  python benchmarks/torch_step.py '{"variant": "eager", "batch_size": 16, "n_critic": 1, ...}'

It has the same layers, sizes, updates and short cuts: critic and Student share the Teacher's images, the generator
learns from the fakes of the last critic update, and real and fake images go through the critic as one batch.
Convolutions of stride 2 pad both sides, where TensorFlow pads one side; the work is the same. The program needs only
torch, and prints one line of JSON. If "device" is "cuda", it runs on the first CUDA device. The variant cuda_graphs,
which needs such a device, records one step and plays it back.
"""

import importlib
import json
import sys
import time

torch = importlib.import_module("torch")  # not a requirement of this project
nn = torch.nn


def _upward(arch, inputs, channels, normalise):
    size, width = arch["base"]
    layers = [
        nn.Linear(inputs, size * size * width, bias=not normalise),
        nn.Unflatten(1, (width, size, size)),
    ]

    def activate(channels_now):
        layers.extend([nn.BatchNorm2d(channels_now)] * normalise + [nn.ReLU()])

    activate(width)
    before = width
    for out, stride in arch["stages"]:
        layers.append(
            nn.ConvTranspose2d(before, out, 3, stride, 1, output_padding=stride - 1, bias=not normalise)
        )
        activate(out)
        before = out
    return nn.Sequential(*layers, nn.Conv2d(before, channels, 3, padding=1), nn.Tanh())


def _downward(arch, channels, outputs):
    layers, before, side = [], channels, arch["image_size"]
    for out in arch["critic_channels"]:
        layers += [nn.Conv2d(before, out, 3, 2, 1), nn.LeakyReLU(0.2)]
        before, side = out, (side + 1) // 2
    layers.append(nn.Flatten())
    features = before * side * side
    if arch["critic_units"]:
        layers += [nn.Linear(features, arch["critic_units"]), nn.LeakyReLU(0.2)]
        features = arch["critic_units"]
    return nn.Sequential(*layers, nn.Linear(features, outputs))


class Step:
    """All networks and optimizers; calling it takes one step on random images."""

    def __init__(
        self, arch, batch_size, n_critic, student, variant, device="cpu", channels=3, share=0.5, weight=10.0
    ):
        torch.set_default_device(device)
        torch.manual_seed(0)
        self.rows, self.n_critic, self.share, self.weight = batch_size, n_critic, share, weight
        self.latent_dim, self.code_dim = arch["latent_dim"], arch["code_dim"]
        self.layout = torch.contiguous_format if variant == "eager" else torch.channels_last
        self.assistant, self.teacher = (_upward(arch, self.latent_dim, channels, True) for _ in range(2))
        self.critic = _downward(arch, channels, 2)
        self.encoder = _downward(arch, channels, 2 * self.code_dim) if student else None
        self.decoder = _upward(arch, self.code_dim, channels, False) if student else None
        self.teacher.eval()
        networks = [self.assistant, self.teacher, self.critic, self.encoder, self.decoder]
        for network in filter(None, networks):
            network.to(memory_format=self.layout)
        recorded = variant == "cuda_graphs"

        def adam(network, *betas):
            return torch.optim.Adam(network.parameters(), 1e-4, betas or (0.0, 0.9), capturable=recorded)

        self.critic_optimizer, self.generator_optimizer = adam(self.critic), adam(self.assistant)
        if student:
            both = nn.ModuleList([self.encoder, self.decoder])
            self.student_optimizer = adam(both, 0.5, 0.999)
        # The penalty needs second derivatives, which compiled code does not support; so it uses the plain critic.
        self.plain_critic = self.critic
        if variant == "compile":
            self.assistant, self.teacher, self.critic = map(
                torch.compile, (self.assistant, self.teacher, self.critic)
            )
            if student:
                self.encoder, self.decoder = torch.compile(self.encoder), torch.compile(self.decoder)
        side = arch["image_size"]
        shape = (n_critic, batch_size, channels, side, side)
        self.new_images = [
            part.contiguous(memory_format=self.layout) for part in torch.rand(shape).mul_(2).sub_(1)
        ]

    def __call__(self):
        rows = self.rows
        with torch.no_grad():
            taught = self.teacher(torch.randn(rows * self.n_critic, self.latent_dim)).split(rows)
        for real, replay in zip(self.new_images, taught):
            last = replay is taught[-1]
            with torch.set_grad_enabled(last):
                fake = self.assistant(torch.randn(rows, self.latent_dim))
            chosen = (torch.rand(rows) < self.share)[:, None, None, None]
            loss = self._update_critic(torch.where(chosen, replay, real), fake.detach())
        self._descend(self.generator_optimizer, -self.critic(fake)[:, 1].mean())
        if self.encoder is not None:
            self._update_student(torch.cat([self.new_images[0], taught[-1]]))
        return loss.detach()

    def _update_critic(self, real, fake):
        values = self.critic(torch.cat([real, fake]))[:, 1]
        epsilon = torch.rand(self.rows, 1, 1, 1)
        points = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
        (slopes,) = torch.autograd.grad(self.plain_critic(points)[:, 1].sum(), points, create_graph=True)
        penalty = (slopes.square().sum((1, 2, 3)).add(1e-12).sqrt() - 1).square().mean()
        loss = values[self.rows :].mean() - values[: self.rows].mean() + self.weight * penalty
        self._descend(self.critic_optimizer, loss)
        return loss.detach()

    def _update_student(self, batch):
        mean, spread = self.encoder(batch).chunk(2, 1)
        stddev = nn.functional.softplus(spread) + 1e-6
        rebuilt = self.decoder(mean + stddev * torch.randn_like(stddev))
        kl = 0.5 * (mean.square() + stddev.square() - 1) - stddev.log()
        loss = ((batch - rebuilt).square().sum() + kl.sum()) / self.rows
        self._descend(self.student_optimizer, loss)

    def _descend(self, optimizer, loss):
        """Updates the optimizer's weights; computes no other gradients, which would cost a backward pass."""
        weights = optimizer.param_groups[0]["params"]
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
            weight.grad = gradient
        optimizer.step()


def _recorded(step):
    """Returns a function that plays back one step, recorded as a CUDA graph, and returns its loss."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):  # allocates all memory and workspaces before the recording
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def play():
        graph.replay()
        return loss

    return play


def main(settings):
    """Times steps in this process: JSON-ready dict with the milliseconds of each turn."""
    seconds, warm_up, turns = (settings.pop(name) for name in ("seconds", "warm_up", "turns"))
    step, times, count, begin = Step(**settings), [], 0, time.perf_counter()
    if settings["variant"] == "cuda_graphs":
        step = _recorded(step)
    step()
    while count < 2 or time.perf_counter() - begin < warm_up:
        float(step())
        count += 1
    steps = max(1, round(count * seconds / (time.perf_counter() - begin)))
    for _ in range(turns):
        begin = time.perf_counter()
        for _ in range(steps):
            loss = step()
        float(loss)  # waits for the end of the work, as a GPU works asynchronously
        times.append(1e3 * (time.perf_counter() - begin) / steps)
    return {"ms": times, "torch": torch.__version__, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
