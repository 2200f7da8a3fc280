"""ONNX to Graph: reading, rewriting what ONNX Runtime lacks, one importer an operator."""
