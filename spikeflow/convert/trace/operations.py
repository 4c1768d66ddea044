"""The operations of torch that are known by name: in a network, on constants, and how they share memory."""

from __future__ import annotations

# Whatever capture gives a meaning to, or refuses with words of its own.
_IN_NETWORKS = """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution
    linear addmm matmul mm bmm
    batch_norm instance_norm layer_norm group_norm rms_norm native_layer_norm native_group_norm
    native_batch_norm _native_batch_norm_legit_no_training local_response_norm
    relu relu6 hardtanh leaky_relu prelu _prelu_kernel elu selu celu gelu silu mish sigmoid tanh hardsigmoid
    hardswish softplus softsign log_sigmoid threshold softshrink hardshrink rrelu rrelu_with_noise
    softmax log_softmax _softmax _log_softmax
    avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d max_pool2d_with_indices
    max_pool3d_with_indices max_pool1d_with_indices adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    dropout feature_dropout alpha_dropout feature_alpha_dropout
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d
    baddbmm scaled_dot_product_attention embedding lstm gru rnn_tanh rnn_relu cosine_similarity glu
"""

# What may be computed from stored tensors alone: arithmetic, comparisons, statistics, linear algebra, moves,
# new tensors. Nothing random, nothing uninitialised, nothing whose size depends on values, and no layer
# whose kernel trusts the sizes that it is given.
_ON_CONSTANTS = """
    add sub rsub subtract mul multiply div divide true_divide floor_divide neg negative pow square exp exp2
    expm1 log log2 log10 log1p sqrt rsqrt reciprocal abs absolute sign sgn sin cos tan tanh sigmoid erf relu
    floor ceil round trunc frac fix remainder fmod clamp clamp_min clamp_max clip minimum maximum fmin fmax
    where masked_fill nan_to_num lerp addcmul addcdiv hardtanh leaky_relu softplus softmax log_softmax
    gt ge lt le eq ne greater greater_equal less less_equal not_equal isnan isinf isfinite
    logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
    bitwise_left_shift bitwise_right_shift __and__ __or__ __xor__ __lshift__ __rshift__
    mean sum prod amax amin max min argmax argmin var std var_mean std_mean norm any all median quantile
    logsumexp cumsum cumprod topk sort argsort kthvalue norm_except_dim
    linalg_norm linalg_vector_norm linalg_matrix_norm linalg_matrix_exp matrix_exp linalg_solve linalg_inv
    inverse linalg_qr linalg_householder_product linalg_det linalg_cholesky linalg_cross _weight_norm
    matmul mm mv dot vdot inner outer ger bmm addmm addmv baddbmm linear einsum kron trace
    diagflat eye
    contiguous clone copy fill zero index_put scatter masked_select diag getitem
    to _to_copy type_as float double half
    zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full arange linspace scalar_tensor
    fake_quantize_per_tensor_affine fake_quantize_per_channel_affine one_hot
"""

# Each new value is a weighted mean of neighbours.
INTERPOLATIONS = frozenset(
    [
        *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
        *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
    ]
)

# Values, or zeros, at other places of the result: no arithmetic.
_MOVES = """
    flatten unflatten view reshape _unsafe_view _reshape_alias view_as reshape_as permute transpose swapaxes
    swapdims movedim moveaxis t numpy_T mT mH adjoint squeeze unsqueeze ravel
    expand expand_as broadcast_to repeat repeat_interleave tile
    split split_with_sizes chunk unbind tensor_split hsplit vsplit dsplit unsafe_chunk unsafe_split
    unsafe_split_with_sizes slice select narrow
    index_select index gather take_along_dim tril triu diag_embed
    flip fliplr flipud roll rot90 diagonal unfold im2col
    pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle
    reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d _pad_circular
"""
_JOINED = "cat concat stack hstack vstack dstack column_stack pad constant_pad_nd"

MOVES = frozenset(_MOVES.split())
CONSTANT = (frozenset(_ON_CONSTANTS.split()) | frozenset(_JOINED.split()) | MOVES) - {"masked_select"}
OPERATIONS = frozenset(_IN_NETWORKS.split()) | CONSTANT | INTERPOLATIONS | {"masked_select"}

# They read the shape of their argument, not its values.
SIZES_ALONE = frozenset(["zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"])
# So of their second argument.
LIKE_ANOTHER = frozenset(["expand_as", "view_as", "reshape_as", "type_as"])

# The result may share values with the argument.
_VIEWED = """
    flatten unflatten view reshape view_as reshape_as permute transpose swapaxes swapdims movedim moveaxis t
    numpy_T mT mH adjoint squeeze unsqueeze expand expand_as broadcast_to contiguous to type_as float double
    half split split_with_sizes chunk unbind slice select narrow pad _unsafe_view _reshape_alias getitem
    diagonal unfold ravel tensor_split hsplit vsplit dsplit
"""
VIEWS = frozenset(_VIEWED.split())
# The result is the argument itself, under a second name; the first four leave no node at all.
IDENTITY = frozenset({"detach", "alias", "lift_fresh", "lift_fresh_copy"})
SAME = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
# Where the flag stands that makes an operation behave as in training.
TRAINING = {
    "batch_norm": 5,
    "dropout": 2,
    "feature_dropout": 2,
    "alpha_dropout": 2,
    "feature_alpha_dropout": 2,
}
