"""Train a network on MNIST, evaluate it on the test set, save it, and show one prediction.

Everything but the printing is in `mnist_helpers`; `python train.py --help` lists the options. Two processes share
the work under `torchrun --standalone --nproc_per_node 2 train.py`; where torchrun restarts them, they go on.
"""

import argparse
import os
import sys
import time

import mnist_helpers as mh

PICTURE = "prediction.png"
RANK = int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0  # which of torchrun's processes this is


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", choices=("MLP", "CNN"), default="MLP", help="which network")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images")
    parser.add_argument("--batch-size", type=int, default=512, help="images per step")
    parser.add_argument("--learning-rate", type=float, default=8e-3, help="peak of the one-cycle schedule")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the shuffling and the augmentation")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--augment", action="store_true", help="rotate, shift, scale and shear the training images")
    parser.add_argument("--output", default="mnist_model.pth", help="checkpoint, written after every epoch")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint at --output")
    return parser.parse_args(arguments)


def report(history):
    print(
        f"epoch {len(history):3}  loss {history.train_loss[-1]:.4f}  "
        f"validation accuracy {history.validation_accuracy[-1]:.2%}  {history.seconds[-1]:.2f} s",
        flush=True,
    )


def show(model, split):
    """The first test image with its label and the prediction: in a window, or as a file where there is no display."""
    import matplotlib.pyplot as plt  # only now: training needs no figures

    axes = mh.plot_prediction(mh.predict(model, split.images[0]), truth=int(split.labels[0]))
    if plt.get_backend().lower() == "agg":  # what Matplotlib takes where it finds no display
        try:
            axes[0].figure.savefig(PICTURE)
            print(f"The picture is in {PICTURE}.")
        except OSError as error:  # the network, which matters more, is saved elsewhere
            print(f"The picture could not be saved: {error}.")
    else:
        plt.show()


def main(arguments=None):
    options = parse(arguments)
    device = mh.pick_device(options.device)
    with mh.join_processes(device, options.output) as restarted:
        mnist = mh.load_mnist(device)
        mh.set_seed(options.seed)
        model = getattr(mh, options.model)().to(device)
        print(f"Training {mh.count_parameters(model):,} parameters on {device}.")

        history = mh.fit(
            model,
            mnist.train,
            mnist.validation,
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            augment=mh.Augmentation() if options.augment else None,
            seed=options.seed,
            checkpoint=options.output,
            resume=options.resume or restarted,
            on_epoch=report,
            progress=False,
        )
    if history.interrupted:
        after = "the same command with --resume goes on" if len(history) else "nothing was saved"
        print(f"Interrupted after {len(history)} epochs; {after}.")
        return 130
    if RANK:
        return 0

    print(f"Test set: {mh.evaluate(model, mnist.test)}")
    print(f"Saved {options.output}.")
    show(model, mnist.test)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, OSError, mh.DataError, FloatingPointError) as error:
        if RANK:
            time.sleep(20)  # mostly the first process has met the same and says so, and torchrun ends this one
        sys.exit(f"train.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
