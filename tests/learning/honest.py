"""Honest classifiers of many kinds, fitted on a small problem with named classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, FactorAnalysis, FastICA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
    f_classif,
    mutual_info_classif,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import DotProduct, Matern, RationalQuadratic, WhiteKernel
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    NearestCentroid,
    NeighborhoodComponentsAnalysis,
    RadiusNeighborsClassifier,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection
from sklearn.semi_supervised import LabelPropagation, LabelSpreading
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

LENGTH = 12  # of the features v2
CLASSES = ("bolt", "gear", "nut")
X, _numbers = make_classification(
    150, LENGTH, n_informative=8, n_redundant=0, n_classes=3, class_sep=1.5, random_state=7
)
X = np.ascontiguousarray(X, dtype=np.float32)
Y = np.array(CLASSES)[_numbers]


def _fitted(model: Any, y: Any = Y) -> Any:
    return model.fit(X, y)


def _logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=500)


def _columns() -> Any:
    parts = [
        ("a", StandardScaler(), [0, 1, 2]),
        ("b", MinMaxScaler(), slice(3, 8)),
        ("c", "passthrough", [8]),
    ]
    return make_pipeline(ColumnTransformer(parts), _logistic())


_FUNCTIONS = (
    np.square, np.sqrt, np.exp, np.log, np.expm1, np.log1p, np.cbrt, np.tanh, np.arctan, np.sinh, np.arcsinh,
    np.sin, np.cos, np.absolute, np.exp2, np.log2, np.log1p, np.exp, np.log10, np.sign,
)  # fmt: skip
_TREE = partial(DecisionTreeClassifier, max_depth=3, random_state=0)
_MODELS: dict[str, Callable[[], Any]] = {
    "logistic": _logistic,
    "logistic_cv": lambda: LogisticRegressionCV(cv=3, Cs=2, max_iter=500, use_legacy_attributes=False),
    "ridge": RidgeClassifier,
    "sgd": lambda: SGDClassifier(loss="log_loss", random_state=0),
    "sgd_huber": lambda: SGDClassifier(loss="modified_huber", random_state=0),
    "perceptron": lambda: Perceptron(random_state=0),
    "tree": _TREE,
    "extra_tree": lambda: ExtraTreeClassifier(max_depth=3, random_state=0),
    "forest": lambda: RandomForestClassifier(5, random_state=0),
    "extra_trees": lambda: ExtraTreesClassifier(5, random_state=np.random.RandomState(3)),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3, random_state=0),
    "hist_boosting": lambda: HistGradientBoostingClassifier(max_iter=3, random_state=0),
    "ada": lambda: AdaBoostClassifier(n_estimators=3, random_state=0),
    "bagging": lambda: BaggingClassifier(_TREE(), n_estimators=3, random_state=0),
    "voting": lambda: VotingClassifier([("a", _logistic()), ("b", _TREE())], voting="soft"),
    "stacking": lambda: StackingClassifier([("a", GaussianNB()), ("b", _TREE())], _logistic(), cv=3),
    "svc": lambda: SVC(kernel="rbf"),
    "nu_svc": NuSVC,
    "linear_svc": LinearSVC,
    "calibrated_sigmoid": lambda: CalibratedClassifierCV(LinearSVC(), cv=3),
    "calibrated_isotonic": lambda: CalibratedClassifierCV(_TREE(), method="isotonic", cv=3),
    "calibrated_svc": lambda: CalibratedClassifierCV(SVC(), cv=3, ensemble=False),
    "neighbours": KNeighborsClassifier,
    "neighbours_ball": lambda: KNeighborsClassifier(algorithm="ball_tree", weights="distance"),
    "neighbours_brute": lambda: KNeighborsClassifier(algorithm="brute"),
    "centroid": NearestCentroid,
    "gaussian_nb": GaussianNB,
    "bernoulli_nb": BernoulliNB,
    "multinomial_nb": lambda: make_pipeline(MinMaxScaler(), MultinomialNB()),
    "complement_nb": lambda: make_pipeline(MinMaxScaler(), ComplementNB()),
    "lda": LinearDiscriminantAnalysis,
    "qda": lambda: QuadraticDiscriminantAnalysis(reg_param=0.1),
    "mlp": lambda: MLPClassifier((8,), max_iter=30, random_state=0),
    "gaussian_process": GaussianProcessClassifier,
    "label_spreading": lambda: LabelSpreading(kernel="knn"),
    "one_vs_rest": lambda: OneVsRestClassifier(_logistic()),
    "one_vs_one": lambda: OneVsOneClassifier(_logistic()),
    "scaled": lambda: make_pipeline(StandardScaler(), _logistic()),
    "robust_pca": lambda: make_pipeline(SimpleImputer(), RobustScaler(), PCA(3, random_state=0), _TREE()),
    "quantile": lambda: make_pipeline(QuantileTransformer(n_quantiles=20, random_state=0), _logistic()),
    "power": lambda: make_pipeline(PowerTransformer(), MaxAbsScaler(), _logistic()),
    "bins": lambda: make_pipeline(
        KBinsDiscretizer(4, encode="onehot", quantile_method="averaged_inverted_cdf"), _logistic()
    ),
    "polynomial": lambda: make_pipeline(Normalizer(), PolynomialFeatures(2), _logistic()),
    "selected": lambda: make_pipeline(VarianceThreshold(), SelectKBest(f_classif, k=5), _logistic()),
    "selected_from": lambda: make_pipeline(SelectFromModel(_TREE()), _TREE()),
    "union": lambda: make_pipeline(
        FeatureUnion([("pca", PCA(2)), ("svd", TruncatedSVD(2, random_state=0))]), _logistic()
    ),
    "columns": _columns,
    "logarithms": lambda: make_pipeline(FunctionTransformer(np.arctan), StandardScaler(), _logistic()),
    "grid_search": lambda: GridSearchCV(_TREE(), {"max_depth": [2, 3]}, cv=3),
    "random_search": lambda: RandomizedSearchCV(
        _TREE(), {"max_depth": [2, 3, 4]}, n_iter=2, cv=3, scoring="f1_macro", random_state=0
    ),
    "functions": lambda: make_pipeline(
        MinMaxScaler(), *(FunctionTransformer(function) for function in _FUNCTIONS), _logistic()
    ),
    "distances": lambda: VotingClassifier(
        [
            ("manhattan", KNeighborsClassifier(metric="manhattan", algorithm="kd_tree")),
            ("chebyshev", KNeighborsClassifier(metric="chebyshev", algorithm="ball_tree")),
            ("minkowski", KNeighborsClassifier(p=3, algorithm="kd_tree")),
            ("radius", RadiusNeighborsClassifier(radius=50.0)),
        ],
        voting="soft",
    ),
    "mlp_sgd": lambda: MLPClassifier((8,), solver="sgd", max_iter=20, random_state=0),
    "calibrated_temperature": lambda: CalibratedClassifierCV(_logistic(), method="temperature", cv=3),
    "kernels": lambda: GaussianProcessClassifier(
        Matern() + WhiteKernel() + DotProduct() * RationalQuadratic(), optimizer=None
    ),
    "ranked": lambda: make_pipeline(
        SelectPercentile(mutual_info_classif, percentile=60),
        RFE(_logistic(), n_features_to_select=4),
        _TREE(),
    ),
    "eliminated": lambda: RFECV(_TREE(), cv=3),
    "filled": lambda: make_pipeline(KNNImputer(), SimpleImputer(add_indicator=True), _logistic()),
    "maps": lambda: make_pipeline(
        FeatureUnion(
            [
                ("kernel", KernelPCA(3, kernel="rbf")),
                ("nystroem", Nystroem(n_components=5, random_state=0)),
                ("fourier", RBFSampler(n_components=5, random_state=0)),
                ("independent", FastICA(3, random_state=0)),
                ("factors", FactorAnalysis(3)),
                ("thrown", GaussianRandomProjection(3, random_state=0)),
                ("near", NeighborhoodComponentsAnalysis(2, max_iter=3, random_state=0)),
            ]
        ),
        _logistic(),
    ),
    "binary_nb": lambda: make_pipeline(Binarizer(), BernoulliNB()),
    "categorical_nb": lambda: make_pipeline(
        KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf"),
        CategoricalNB(min_categories=3),
    ),
    "label_propagation": lambda: LabelPropagation(kernel="knn"),
}  # fmt: skip

ESTIMATORS: dict[str, Callable[[], Any]] = {
    name: partial(lambda make: _fitted(make()), make) for name, make in _MODELS.items()
} | {
    "object_labels": lambda: _fitted(RandomForestClassifier(3, random_state=0), Y.astype(object)),
    "threshold": lambda: _fitted(FixedThresholdClassifier(_logistic(), threshold=0.4), Y == "bolt"),
    "tuned_threshold": lambda: _fitted(TunedThresholdClassifierCV(_logistic(), cv=3), Y == "bolt"),
}
