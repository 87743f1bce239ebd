"""The works that methods name: networks, losses, software and sets, with the keys of their citations."""

NETWORKS = {
    "unet": "ronneberger2015",
    "monai_unet": "kerfoot2018",
    "attention_unet": "oktay2018",
    "unet_plus_plus": "zhou2018",
    "dyn_unet": "isensee2021",
    "segresnet": "myronenko2018",
    "swin_unetr": "hatamizadeh2022",
    "mednext": "roy2023",
    "swin_unet": "cao2021",
    "deeplabv3": "chen2017",
    "fcn": "long2015",
    "lraspp": "howard2019",
    "encoder_unet": "ronneberger2015",
    "deeplabv3_plus": "chen2018",
    "fpn": "kirillov2017",
    "segformer": "xie2021",
    "smp": "smp",
}

LOSSES = {
    "dice_ce": ("the Dice loss plus binary cross-entropy", "milletari2016"),
    "dice": ("the Dice loss", "milletari2016"),
    "bce": ("binary cross-entropy", ""),
    "focal": ("the focal loss", "linfocal2017"),
    "tversky": ("the Tversky loss", "salehi2017"),
    "focal_tversky": ("the focal Tversky loss", "abraham2018"),
    "generalised_dice": ("the generalised Dice loss", "sudre2017"),
    "dice_topk": ("the Dice loss plus the cross-entropy of the hardest pixels", "wu2016"),
    "lovasz": ("the Lovász extension of the Jaccard loss", "berman2018"),
    "boundary": ("the boundary loss", "kervadec2019"),
    "hausdorff_dt": ("the Hausdorff loss by distance transforms", "karimi2019"),
    "bounded_surface": ("the generalised surface loss", "celaya2023"),
}

SCHEDULES = {
    "cosine": "falls to zero along half a cosine [@loshchilov2017]",
    "constant": "stays as it is",
    "one_cycle": "falls to {end:g} of that value along half a cosine (one cycle) [@smith2017]",
    "poly": "falls to zero as a power of what is left",
    "plateau": "is multiplied by {factor:g} after {patience} without a better validation Dice",
}

INITIAL = {"ImageNet": " [@deng2009]", "COCO": " [@lin2014]"}

SOFTWARE = {
    "torch": ("PyTorch", "pytorch"),
    "torchvision": ("torchvision", "torchvision"),
    "monai": ("MONAI", "monai"),
    "segmentation-models-pytorch": ("segmentation-models-pytorch", "smp"),
    "timm": ("timm", "timm"),
    "onnx": ("ONNX", "onnx"),
    "openvino": ("OpenVINO", "openvino"),
    "numpy": ("NumPy", "numpy"),
    "scipy": ("SciPy", "scipy"),
}

OF_ENCODERS = ("encoder_unet", "deeplabv3_plus", "fpn", "segformer", "smp")

NETWORKS_OF = {
    "torchvision": ("deeplabv3", "fcn", "lraspp", "swin_unet"),
    "monai": ("monai_unet", "attention_unet", "unet_plus_plus", "dyn_unet", "segresnet", "swin_unetr", "mednext"),
    "segmentation-models-pytorch": OF_ENCODERS,
    "timm": OF_ENCODERS,
}
"""Of packages that not every training uses: the networks that come from them."""

SETS = {
    "cheng": "the public set of Cheng et al. (figshare 1512427, CC BY 4.0) [@cheng2017; @cheng2015]",
    "simulated": "a simulated cohort: no patient was imaged, and no figure is clinical [@fonov2011]",
    "brats": "volumes in the names of BraTS, UCSF-PDGM or UPENN-GBM, of which release is not stated "
    "[@baid2021; @menze2015; @bakas2017]",
    "lgg": "the public set of lower-grade gliomas from TCGA (CC BY-NC-SA 4.0) [@buda2019]",
}


def cite(*keys: str) -> str:
    citations = "; ".join(f"@{key}" for key in keys if key)
    return f" [{citations}]" if citations else ""
