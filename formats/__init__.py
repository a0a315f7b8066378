"""What a number is: records, catalogue, derivation, the torch quantizer, published facts."""
