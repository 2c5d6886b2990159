"""Weights without an architecture: guess the layers that they belong to.

A state_dict holds arrays and their names::

    conv1.weight (32, 1, 3, 3)    conv1.bias (32,)
    conv2.weight (64, 32, 3, 3)   conv2.bias (64,)
    fc1.weight   (128, 9216)      fc1.bias   (128,)
    fc2.weight   (10, 128)        fc2.bias   (10,)

Nothing here mentions ReLU, padding or pooling, but the sizes give much of it away: fc1 takes
9216 = 64 x 12 x 12 features, and two unpadded 3x3 convolutions lead from 28x28 to 24x24, so one
2x2 pool is missing, most likely after the last convolution. The modules in reading order:

- ``blocks``: arrays that belong to one layer form a block: conv1, conv2, fc1, fc2.
- ``plans``: a plan is one possible architecture, here ``conv1: plain; conv2: pool 2; relu``.
- ``match_shapes``: the search for every plan whose sizes fit, most likely first.
- ``architecture``, ``assemble``: a plan, or a JSON file of the user's, describes layers; each
  layer gets its block, every shape is checked, and what PyTorch keeps channels first is reordered.
- ``candidates``: all that a file may be. If several plans fit, the user chooses one, or
- ``scaling``: labelled pictures choose the plan and the scaling of the pixels in a race.
"""
