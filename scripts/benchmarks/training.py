"""The main job beside the training of the lecture's CNN.

They take turns, A B A B, each its own command in a process of its own. The main
job's whole training is compared with twelve epochs of the lecture's, one of
which is measured after its first, which also traces. CPU seconds are the
quieter measure on a machine with other users.
"""

import statistics

from benchmarks.recipe_runs import measure

LECTURE_EPOCHS = 12  # of the lecture's own training


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--rounds", type=int, default=3)


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    compare_training(arguments.rounds)
    return 0


def compare_training(rounds: int) -> None:
    """Print the main job's cost as a share of the lecture's training."""
    wholes, wall_ratios, cpu_ratios = [], [], []
    for seed in range(rounds):
        ours = measure("mnist_cnn", "--seed", str(seed))
        lecture = measure(
            *("mnist_lecture_cnn", "--training", "lecture"),
            *("--epochs", "2", "--seed", str(seed)),
        )
        wall, cpu = ours["wall"], ours["cpu"]
        lecture_wall = LECTURE_EPOCHS * lecture["epochs"][-1]["seconds"]
        lecture_cpu = LECTURE_EPOCHS * lecture["epochs"][-1]["cpu_seconds"]
        wholes.append(ours["command"] - wall)
        wall_ratios.append(lecture_wall / wall)
        cpu_ratios.append(lecture_cpu / cpu)
        print(
            f"ours {wall:.1f} s ({cpu:.1f} CPU s, accuracy "
            f"{ours['metrics']['test_accuracy']:.4f}), "
            f"command {ours['command']:.1f} s; "
            f"12 epochs of the lecture's {lecture_wall:.0f} s "
            f"({lecture_cpu:.0f} CPU s): 1/{wall_ratios[-1]:.1f} of the wall "
            f"time, 1/{cpu_ratios[-1]:.1f} of the CPU time",
            flush=True,
        )
    wall, cpu, rest = map(statistics.median, (wall_ratios, cpu_ratios, wholes))
    print(
        f"median of {rounds}: 1/{wall:.1f} of the wall time, 1/{cpu:.1f} of "
        f"the CPU time; the command takes {rest:.1f} s beside its training"
    )
