"""Reverse Distillation (Deng & Li, CVPR 2022): the network, its losses and its anomaly map."""
