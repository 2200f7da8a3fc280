"""Chips compared on one workload: predicted beside published, cost, export class."""
