"""SASRec, BERT4Rec and others beside the figures of their papers."""
