"""The named recipes of stage ``federate``: each is one part per slot, with the settings of its paper."""

from __future__ import annotations

from typing import Any

from harmonia.core.recipe import RecipeBook
from harmonia.federate.drift import Dyn, Momentum, NoDrift, Prox, Scaffold
from harmonia.federate.head import Etf, FrozenRandom, Gela, LinearHead, Local
from harmonia.federate.loss import CE, MR, Decorr, Moon, MRIntra
from harmonia.federate.perturb import LESAM, SAM, SMOO, NoPerturb
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.schedule import Cyclic, Every, Skip
from harmonia.federate.server import SGD, Adagrad, Adam, DynServer, ServerMomentum, Yogi
from harmonia.federate.training import Training
from harmonia.federate.weight import Examples, Nova, Uniform

BOOK = RecipeBook(FederateRecipe)


def _with(**parts: Any) -> FederateRecipe:
    """FedAvg with other choices."""
    chosen: dict[str, Any] = {
        "head": LinearHead(),
        "loss": CE(),
        "perturb": NoPerturb(),
        "drift": NoDrift(),
        "schedule": Every(),
        "weight": Examples(),
        "server": SGD(),
        "training": Training(),
    }
    return FederateRecipe(**{**chosen, **parts})


@BOOK.add()
def fedavg() -> FederateRecipe:
    """Federated averaging: clients train from the average, the server averages by their examples."""
    return _with()


@BOOK.add()
def fedprox() -> FederateRecipe:
    """FedProx: a spring pulls every client towards the model it received."""
    return _with(drift=Prox())


@BOOK.add()
def scaffold() -> FederateRecipe:
    """SCAFFOLD: control variates take a client's own direction out of its steps and put that of all in."""
    return _with(drift=Scaffold(), weight=Uniform())


@BOOK.add()
def fednova() -> FederateRecipe:
    """FedNova: changes are divided by the steps that made them, so that many steps do not count more."""
    return _with(weight=Nova())


@BOOK.add()
def feddyn() -> FederateRecipe:
    """FedDyn: a linear term per client makes the optimum of all a fixed point of every client."""
    return _with(drift=Dyn(), weight=Uniform(), server=DynServer())


@BOOK.add()
def moon() -> FederateRecipe:
    """MOON: features are drawn to those of the global model and away from those of the client's previous one."""
    return _with(loss=Moon())


@BOOK.add()
def fedavgm() -> FederateRecipe:
    """FedAvgM: the server steps along the average change with momentum."""
    return _with(server=ServerMomentum())


@BOOK.add()
def fedadam() -> FederateRecipe:
    """FedAdam: the server steps along the average change as Adam does."""
    return _with(server=Adam())


@BOOK.add()
def fedyogi() -> FederateRecipe:
    """FedYogi: as FedAdam, with a second moment that moves by sign."""
    return _with(server=Yogi())


@BOOK.add()
def fedadagrad() -> FederateRecipe:
    """FedAdagrad: as FedAdam, with a second moment that only grows."""
    return _with(server=Adagrad())


@BOOK.add()
def fedsam() -> FederateRecipe:
    """FedSAM: every step takes its gradient where the client's own loss is worst nearby; two backward passes."""
    return _with(perturb=SAM())


@BOOK.add()
def fedcm() -> FederateRecipe:
    """FedCM: every step is mixed with the last change of the global model."""
    return _with(drift=Momentum())


@BOOK.add()
def mofedsam() -> FederateRecipe:
    """MoFedSAM: FedSAM's gradients mixed with the last change of the global model."""
    return _with(perturb=SAM(), drift=Momentum())


@BOOK.add()
def fedgamma() -> FederateRecipe:
    """FedGAMMA: FedSAM's gradients with SCAFFOLD's correction."""
    return _with(perturb=SAM(), drift=Scaffold(), weight=Uniform())


@BOOK.add()
def fedsmoo() -> FederateRecipe:
    """FedSMOO: clients agree on one perturbation through dual variables, with FedDyn's correction."""
    return _with(perturb=SMOO(), drift=Dyn(), weight=Uniform(), server=DynServer())


@BOOK.add()
def fedlesam() -> FederateRecipe:
    """FedLESAM: the perturbation points from the new global model to the old one; one backward pass per step."""
    return _with(perturb=LESAM())


@BOOK.add()
def fedlesam_s() -> FederateRecipe:
    """FedLESAM-S: with SCAFFOLD's correction."""
    return _with(perturb=LESAM(), drift=Scaffold(), weight=Uniform())


@BOOK.add()
def fedlesam_d() -> FederateRecipe:
    """FedLESAM-D: with FedDyn's correction."""
    return _with(perturb=LESAM(), drift=Dyn(), weight=Uniform(), server=DynServer())


@BOOK.add()
def fedskip() -> FederateRecipe:
    """FedSkip: models wander from client to client and are averaged every third round only."""
    return _with(schedule=Skip())


@BOOK.add()
def cyclic() -> FederateRecipe:
    """One model visits every client in turn before it counts: training in sequence."""
    return _with(schedule=Cyclic())


@BOOK.add()
def feddecorr() -> FederateRecipe:
    """FedDecorr: dimensions of the features are decorrelated over the whole batch."""
    return _with(loss=Decorr())


@BOOK.add()
def fedmr_intra() -> FederateRecipe:
    """FedMR as released: dimensions of the features are decorrelated within each class."""
    return _with(loss=MRIntra())


@BOOK.add()
def fedmr() -> FederateRecipe:
    """FedMR: decorrelation within classes, and a margin to the prototypes of other classes (reconstructed)."""
    return _with(loss=MR())


@BOOK.add()
def fedetf() -> FederateRecipe:
    """A head of fixed directions, all classes equally far apart: FedETF without its extras."""
    return _with(head=Etf())


@BOOK.add()
def fedgela() -> FederateRecipe:
    """FedGELA: a head of fixed directions, each scaled at a client by how much of the class it has."""
    return _with(head=Gela())


@BOOK.add()
def fedper() -> FederateRecipe:
    """FedPer: every client has a head of its own, trained together with the shared backbone."""
    return _with(head=Local(order="joint"))


@BOOK.add()
def fedrep() -> FederateRecipe:
    """FedRep: every client has a head of its own, trained first, then the shared backbone."""
    return _with(head=Local(order="alternate"))


@BOOK.add()
def fedbabu() -> FederateRecipe:
    """FedBABU: the head stays as it was drawn while the backbone is trained."""
    return _with(head=FrozenRandom())


@BOOK.add()
def gela_lesam() -> FederateRecipe:
    """FedGELA's head with FedLESAM's perturbation."""
    return _with(head=Gela(), perturb=LESAM())


@BOOK.add()
def gela_mr() -> FederateRecipe:
    """FedGELA's head with FedMR's decorrelation within classes."""
    return _with(head=Gela(), loss=MRIntra())


@BOOK.add()
def etf_mr_lesam_skip() -> FederateRecipe:
    """Four remedies at once: FedETF's head, FedMR's decorrelation, FedLESAM's perturbation, FedSkip's schedule."""
    return _with(head=Etf(), loss=MRIntra(), perturb=LESAM(memory="server"), schedule=Skip())
