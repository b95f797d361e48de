"""Where the public data sets come from, under which licence, and who is to be cited."""

from dataclasses import dataclass

BERGMANN = "P. Bergmann et al."
BY_NC_SA = "CC BY-NC-SA 4.0"
MYDRIVE = "https://www.mydrive.ch/shares"


@dataclass(frozen=True)
class Source:
    """A public data set as its authors offer it.

    Attributes:
        title: Its name in the literature.
        licence: As the authors state it.
        cite: The publication that its use is to cite.
        url: An archive that can be had without asking; None where one has to ask for it.
        digest: Its checksum, as `sha256:<hex>` or `md5:<hex>`.
        page: Where to get it by hand; what to put where follows from the reader's layout.
        size: Bytes of the archive; 0 where only the server knows.
    """

    title: str
    licence: str
    cite: str
    url: str | None = None
    digest: str | None = None
    page: str = ""
    size: int = 0


SOURCES = {
    "mvtec_ad": Source(
        title="MVTec AD",
        licence=BY_NC_SA,
        cite=f"{BERGMANN}: The MVTec Anomaly Detection Dataset, IJCV 2021",
        url=f"{MYDRIVE}/150996/b52ecdcbf521176e9db9c731f2304b27/download/"
        "420938113-1629960298/mvtec_anomaly_detection.tar.xz",
        digest="sha256:cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
    ),
    "mvtec_ad_2": Source(
        title="MVTec AD 2",
        licence=BY_NC_SA,
        cite="L. Heckler-Kram et al.: The MVTec AD 2 Dataset, arXiv:2503.21622",
        url=f"{MYDRIVE}/150997/701c90d3aea6588f404936e32a674602/download/"
        "466712769-1743429042/mvtec_ad_2.tar.gz",
        digest="sha256:c0ded99ef32bfc8e352d52beb44515e5b292b8598cb963aadfa91ca0763505e4",
        size=30_400_000_000,
    ),
    "mvtec_loco": Source(
        title="MVTec LOCO AD",
        licence=BY_NC_SA,
        cite=f"{BERGMANN}: Beyond Dents and Scratches, IJCV 2022",
        url=f"{MYDRIVE}/48237/1b9106ccdfbb09a0c414bd49fe44a14a/download/"
        "430647091-1646842701/mvtec_loco_anomaly_detection.tar.xz",
        digest="sha256:9e7c84dba550fd2e59d8e9e231c929c45ba737b6b6a6d3814100f54d63aae687",
    ),
    "mvtec_3d": Source(
        title="MVTec 3D-AD",
        licence=BY_NC_SA,
        cite=f"{BERGMANN}: The MVTec 3D-AD Dataset for Unsupervised 3D Anomaly Detection and "
        "Localization, VISAPP 2022",
        url=f"{MYDRIVE}/150646/25de33f1276dd418cd856f2f48a84cdb/download/"
        "428824485-1643299897/mvtec_3d_anomaly_detection.tar.xz",
        digest="md5:d8bb2800fbf3ac88e798da6ae10dc819",
    ),
    "visa": Source(
        title="VisA",
        licence="CC BY 4.0",
        cite="Y. Zou et al.: SPot-the-Difference Self-Supervised Pre-training for Anomaly "
        "Detection and Segmentation, ECCV 2022",
        url="https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
        digest="sha256:2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362",
        size=1_929_840_640,
    ),
    "btad": Source(
        title="BTAD",
        licence="CC BY-SA 4.0, by its authors' README",
        cite="P. Mishra et al.: VT-ADL, ISIE 2021",
        url="https://avires.dimi.uniud.it/papers/btad/btad.zip",
        digest="sha256:461c9387e515bfed41ecaae07c50cf6b10def647b36c9e31d239ab2736b10d2a",
    ),
    "kolektor_sdd": Source(
        title="KolektorSDD",
        licence=BY_NC_SA,
        cite="D. Tabernik et al.: Segmentation-Based Deep-Learning Approach for Surface-Defect "
        "Detection, Journal of Intelligent Manufacturing 2020",
        url="https://go.vicos.si/kolektorsdd",
        digest="sha256:65dc621693418585de9c4467d1340ea7958a6181816f0dc2883a1e8b61f9d4dc",
    ),
    "vad": Source(
        title="VAD",
        licence=BY_NC_SA,
        cite="A. Baitieva et al.: Supervised Anomaly Detection for Complex Industrial Images, "
        "CVPR 2024",
        url="https://eu.mydrive.ch/shares/90677/c42f2e42db42dd710153dbadc2160f88/download/"
        "453437487-1757245265/VAD.zip",
        digest="sha256:8655b46d9de19f1c50d3eb79567cc3504773979892281a669d0c36680050050a",
    ),
    "kolektor_sdd2": Source(
        title="KolektorSDD2",
        licence=BY_NC_SA,
        cite="J. Božič et al.: Mixed supervision for surface-defect detection, "
        "Computers in Industry 2021",
        page="https://go.vicos.si/kolektorsdd2 (no checksum is published); "
        "its folders train and test",
    ),
    "mpdd": Source(
        title="MPDD",
        licence="none is stated by its authors",
        cite="S. Jezek et al.: Deep learning-based defect detection of metal parts, ICUMT 2021",
        page="https://github.com/stepanje/MPDD, a shared folder; its folders bracket_black, …",
    ),
    "magnetic_tile": Source(
        title="Magnetic tile defects",
        licence="none is stated by its authors",
        cite="Y. Huang et al.: Surface defect saliency of magnetic tile, The Visual Computer 2020",
        page="https://github.com/abin24/Magnetic-tile-defect-datasets., a repository; "
        "its folders MT_Free, MT_Crack, …",
    ),
    "real_iad": Source(
        title="Real-IAD",
        licence=BY_NC_SA,
        cite="C. Wang et al.: Real-IAD, CVPR 2024",
        page="https://huggingface.co/datasets/Real-IAD/Real-IAD, a form; its folders "
        "realiad_jsons and realiad_1024, or another of the sizes",
    ),
    "dagm": Source(
        title="DAGM 2007",
        licence="free for the competition's purpose",
        cite="M. Wieler et al.: Weakly Supervised Learning for Industrial Optical Inspection, "
        "DAGM 2007",
        page="https://www.kaggle.com/datasets/mhskjelvareid/"
        "dagm-2007-competition-dataset-optical-inspection, an account; its folders Class1, …",
    ),
    "goodsad": Source(
        title="GoodsAD",
        licence="none is stated by its authors",
        cite="J. Zhang et al.: PKU-GoodsAD, IEEE Robotics and Automation Letters 2024",
        page="https://github.com/jianzhang96/GoodsAD, a shared folder; its folders drink_can, …",
    ),
    "autovi": Source(
        title="AutoVI",
        licence=BY_NC_SA,
        cite="P. Carvalho et al.: The Automotive Visual Inspection Dataset, Zenodo 2024",
        page="https://zenodo.org/records/10459003, an archive a category; "
        "their folders engine_wiring, …",
    ),
}
