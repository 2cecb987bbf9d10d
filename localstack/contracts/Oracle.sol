// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// A contract of no standard, such as a game or a club has: what it says of a wallet can be read by a view function of each
/// type that a policy's `contract` condition may ask for. The owner sets what it says.
contract Oracle is Ownable {
    mapping(address account => mapping(uint256 season => uint256)) public levelOf;
    mapping(address account => bool) public isMember;
    mapping(address account => bytes32) public badgeOf;
    mapping(address account => string) public nameOf;
    mapping(address account => int256) public scoreOf;

    constructor() Ownable(msg.sender) {}

    function setLevel(address account, uint256 season, uint256 level) external onlyOwner {
        levelOf[account][season] = level;
    }

    function setMember(address account, bool member) external onlyOwner {
        isMember[account] = member;
    }

    function setBadge(address account, bytes32 badge) external onlyOwner {
        badgeOf[account] = badge;
    }

    function setName(address account, string calldata name) external onlyOwner {
        nameOf[account] = name;
    }

    function setScore(address account, int256 score) external onlyOwner {
        scoreOf[account] = score;
    }
}
