"""Planted faults: does ``tinymnist compare`` name the cause?"""
