//! Films converted by AWS Elemental MediaConvert: one job for all renditions.
